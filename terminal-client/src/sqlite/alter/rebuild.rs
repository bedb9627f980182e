use rusqlite::Connection;

use super::{super::database::Database, super::schema::quote, act::Rebuild};
use crate::target::TargetError;

/// The new table while its rows are copied.
const REBUILT: &str = "tailwater_rebuilt";

const BELONGING: &str = "SELECT sql FROM sqlite_schema
    WHERE tbl_name = ?1 COLLATE NOCASE AND type IN ('index', 'trigger') AND sql IS NOT NULL";

/// Makes a table anew with its rows, indexes and triggers (SQLite, "ALTER TABLE", 7: "Making Other
/// Kinds Of Table Schema Changes").
pub(super) fn rebuild(
    database: &Database,
    table: &str,
    columns: &Rebuild,
) -> Result<(), TargetError> {
    let connection = &database.connection;
    // Otherwise views that name the table, which is not there for a moment, would stop the renaming.
    let done = connection
        .pragma_update(None, "legacy_alter_table", true)
        .and_then(|()| exchange(connection, table, columns))
        .and_then(|()| connection.pragma_update(None, "legacy_alter_table", false));
    database.did(&format!("make the table {} anew", quote(table)), done)
}

fn exchange(connection: &Connection, table: &str, columns: &Rebuild) -> rusqlite::Result<()> {
    let mut belonging = connection.prepare(BELONGING)?;
    let belonging: Vec<String> =
        belonging.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for sql in columns.sql(table, REBUILT) {
        connection.execute_batch(&sql)?;
    }
    let (name, rebuilt) = (quote(table), quote(REBUILT));
    connection
        .execute_batch(&format!("DROP TABLE {name}; ALTER TABLE {rebuilt} RENAME TO {name}"))?;
    belonging.iter().try_for_each(|sql| connection.execute_batch(sql))
}
