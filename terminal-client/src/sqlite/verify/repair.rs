use super::{
    super::database::Database,
    sql::{STAGE, Sides, TABLES, unlike},
};
use crate::target::{REPAIR_BY_RELOAD, Repaired, TargetError};

impl Sides {
    /// Writes the rows that differ, in the open transaction: what is only here goes first, so that what it held of
    /// unique values is free. The temporary tables go.
    pub(super) fn repair(&self, database: &Database) -> Result<Repaired, TargetError> {
        let write = |sql: &str| {
            let written = database.connection.execute(sql, []);
            let written = written.map_err(|error| TargetError::Statement {
                target: database.target.clone(),
                doing: format!("write the rows of {} that differ", self.name),
                why: format!("{error}; {REPAIR_BY_RELOAD}"),
            });
            written.map(|rows| rows as u64)
        };
        let (own, stage_id) = (&self.own, self.stage_id);
        let deleted = match self.row_id {
            Some(row_id) => write(&format!(
                "DELETE FROM {own} WHERE {row_id} IN (SELECT p FROM temp.tailwater_differ WHERE kind = 'extra')"
            ))?,
            None => write(&format!(
                "DELETE FROM {own} AS t WHERE EXISTS
                     (SELECT 1 FROM temp.tailwater_differ AS d WHERE d.kind = 'extra' AND {})",
                self.found()
            ))?,
        };
        let set = self.columns_that_differ(database)?;
        let updated = if set.is_empty() {
            0
        } else {
            let sets: Vec<String> =
                set.iter().map(|column| format!("{column} = s.{column}")).collect();
            write(&format!(
                "UPDATE {own} AS t SET {} FROM temp.tailwater_differ AS d CROSS JOIN temp.{STAGE} AS s
                 WHERE d.kind = 'different' AND s.{stage_id} = d.q AND {}",
                sets.join(", "),
                self.found()
            ))?
        };
        let (into, columns) = match self.columns.is_empty() {
            true => (String::new(), "*".to_owned()),
            false => {
                let columns = self.columns.join(", ");
                (format!(" ({columns})"), columns)
            }
        };
        let inserted = write(&format!(
            "INSERT INTO {own}{into} SELECT {columns} FROM temp.{STAGE}
             WHERE {stage_id} IN (SELECT q FROM temp.tailwater_differ WHERE kind = 'missing')"
        ))?;
        for table in TABLES {
            let dropped = database.connection.execute_batch(&format!("DROP TABLE temp.{table}"));
            database.did("drop a temporary table", dropped)?;
        }
        Ok(Repaired { inserted, deleted, updated })
    }

    /// Those in which any row of both sides differs.
    fn columns_that_differ(&self, database: &Database) -> Result<Vec<&str>, TargetError> {
        let any: Vec<String> =
            self.columns.iter().map(|column| format!(", max({})", unlike(column))).collect();
        let sql = format!(
            "SELECT count(*){} FROM temp.tailwater_differ AS d CROSS JOIN {} AS t CROSS JOIN temp.{STAGE} AS s
             WHERE d.kind = 'different' AND {} AND s.{} = d.q",
            any.concat(),
            self.own,
            self.found(),
            self.stage_id
        );
        let found = database.connection.query_row(&sql, [], |row| {
            let mut columns = Vec::new();
            for (at, column) in self.columns.iter().enumerate() {
                if row.get::<_, Option<bool>>(at + 1)? == Some(true) {
                    columns.push(column.as_str());
                }
            }
            Ok(columns)
        });
        database.did(&format!("compare the rows of {}", self.name), found)
    }
}
