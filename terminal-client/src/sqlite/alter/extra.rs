use rusqlite::Connection;
use wire::TableDefinition;

use super::{
    super::schema::{NO_COLUMNS, quote},
    columns::is_own,
    names::DROPPED_KEY,
};

/// Columns of the file's own, which a rebuild must keep.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// Names and definitions.
    pub(super) columns: Vec<(String, String)>,
    /// Why the table cannot be made anew.
    pub(super) refused: Option<&'static str>,
}

const COLUMNS: &str = "SELECT name, type, \"notnull\", dflt_value, pk > 0, hidden > 1
    FROM pragma_table_xinfo(?1) ORDER BY cid";

/// The columns of a table that the source has not.
pub(super) fn extra(
    connection: &Connection,
    was: &TableDefinition,
    is: &TableDefinition,
    table: &str,
) -> rusqlite::Result<Extra> {
    let mut extra = Extra::default();
    let mut statement = connection.prepare(COLUMNS)?;
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if name == NO_COLUMNS || name == DROPPED_KEY || !is_own(was, is, &name) {
            continue;
        }
        let (declared, needed): (String, bool) = (row.get(1)?, row.get(2)?);
        let default: Option<String> = row.get(3)?;
        if row.get(4)? || row.get(5)? {
            extra.refused = Some("it has a key or a generated column of its own");
        }
        let default = default.map(|default| format!(" DEFAULT ({default})")).unwrap_or_default();
        let needed = if needed { " NOT NULL" } else { "" };
        let sql = format!("{} {declared}{needed}{default}", quote(&name));
        extra.columns.push((name, sql));
    }
    Ok(extra)
}
