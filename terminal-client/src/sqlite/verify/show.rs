use rusqlite::{Connection, Row, types::ValueRef};

use super::sql::{STAGE, Sides, unlike};
use crate::target::{Difference, DifferingRow};

/// Longer values of keys are cut in what is told.
const SHOWN_CHARS: usize = 100;
/// Of rows without a key, so many columns are told.
const SHOWN_COLUMNS: usize = 8;
/// Behind kind and row numbers.
const FIRST_KEY: usize = 3;

impl Sides {
    /// The first so many rows that differ.
    pub(super) fn shown(
        &self,
        connection: &Connection,
        show: usize,
    ) -> rusqlite::Result<Vec<DifferingRow>> {
        let key = self.key.get(..SHOWN_COLUMNS).unwrap_or(&self.key);
        let ks: String = (0..key.len()).map(|at| format!(", k{at}")).collect();
        let sql =
            format!("SELECT kind, rowid, q{ks} FROM temp.tailwater_differ ORDER BY 1{ks} LIMIT ?1");
        let most = i64::try_from(show).unwrap_or(i64::MAX);
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([most])?;
        let mut shown = Vec::new();
        while let Some(row) = rows.next()? {
            let kind = match row.get::<_, String>(0)?.as_str() {
                "missing" => Difference::Missing,
                "extra" => Difference::Extra,
                _ => Difference::Different,
            };
            let columns = match kind {
                Difference::Different => self.columns_of(connection, row.get(1)?)?,
                Difference::Missing | Difference::Extra => Vec::new(),
            };
            let names = key.iter().filter_map(|at| self.names.get(*at)).enumerate();
            let value = |(at, name): (usize, &String)| Ok((name.clone(), value(row, at)?));
            let key = names.map(value).collect::<rusqlite::Result<_>>()?;
            shown.push(DifferingRow { kind, key, columns });
        }
        Ok(shown)
    }

    /// The columns in which the two sides of a row differ.
    fn columns_of(&self, connection: &Connection, differ: i64) -> rusqlite::Result<Vec<String>> {
        let unlike: Vec<String> = self.columns.iter().map(|column| unlike(column)).collect();
        let sql = format!(
            "SELECT {} FROM temp.tailwater_differ AS d, {} AS t, temp.{STAGE} AS s
             WHERE d.rowid = ?1 AND {} AND s.{} = d.q",
            unlike.join(", "),
            self.own,
            self.found(),
            self.stage_id
        );
        connection.query_row(&sql, [differ], |row| {
            let mut columns = Vec::new();
            for (at, name) in self.names.iter().enumerate() {
                if row.get(at)? {
                    columns.push(name.clone());
                }
            }
            Ok(columns)
        })
    }
}

fn value(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<String>> {
    let text = |bytes: &[u8]| {
        let cut = bytes.get(..bytes.len().min(4 * SHOWN_CHARS)).unwrap_or_default();
        String::from_utf8_lossy(cut).chars().take(SHOWN_CHARS).collect()
    };
    Ok(match row.get_ref(FIRST_KEY + at)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) => Some(text(bytes)),
        ValueRef::Blob(bytes) => {
            let cut = bytes.get(..bytes.len().min(SHOWN_CHARS / 2)).unwrap_or_default();
            Some(cut.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}")))
        }
    })
}
