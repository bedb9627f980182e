use super::{super::database::Database, sql::Sides};
use crate::target::{Differences, TargetError};

impl Sides {
    /// Compares the staged rows with the table's.
    pub(super) fn differences(
        &self,
        database: &Database,
        show: usize,
    ) -> Result<Differences, TargetError> {
        let doing = format!("compare the rows of {}", self.name);
        for sql in self.statements() {
            if database.stopped() {
                break;
            }
            database.did(&doing, database.connection.execute_batch(&sql))?;
        }
        let count = |kind: &str| {
            let sql = "SELECT count(*) FROM temp.tailwater_differ WHERE kind = ?1";
            let count = database.connection.query_row(sql, [kind], |row| row.get::<_, i64>(0));
            Ok::<_, TargetError>(u64::try_from(database.did(&doing, count)?).unwrap_or(0))
        };
        let mut found = Differences {
            missing: count("missing")?,
            extra: count("extra")?,
            different: count("different")?,
            shown: Vec::new(),
        };
        if found.any() && show > 0 {
            found.shown = database.did(&doing, self.shown(&database.connection, show))?;
        }
        Ok(found)
    }
}
