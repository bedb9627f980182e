use rusqlite::{Connection, OptionalExtension};
use wire::{SourceName, TableDefinition};

/// The definitions as of the load. The stream's own say less: no domain's modifier, no key of a
/// table whose rows are identified by all columns.
pub(in super::super) const CREATE_RECORDS: &str = "CREATE TABLE IF NOT EXISTS tailwater_tables (
    name TEXT PRIMARY KEY COLLATE NOCASE, source TEXT NOT NULL, definition TEXT NOT NULL)";

const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'tailwater_tables'";

/// What is kept of a table.
#[derive(Debug)]
pub(in super::super) struct Record {
    pub(in super::super) source: String,
    pub(in super::super) definition: TableDefinition,
}

/// The record of the table of that name in SQLite.
pub(in super::super) fn read_record(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Option<Record>> {
    if connection.prepare_cached(EXISTS)?.query_row([], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let sql = "SELECT source, definition FROM tailwater_tables WHERE name = ?1";
    connection
        .prepare_cached(sql)?
        .query_row([name], |row| {
            let json: String = row.get(1)?;
            let definition = serde_json::from_str(&json).map_err(|error| {
                let kind = rusqlite::types::Type::Text;
                rusqlite::Error::FromSqlConversionFailure(1, kind, error.into())
            })?;
            Ok(Record { source: row.get(0)?, definition })
        })
        .optional()
}

/// Keeps a table's definition.
pub(in super::super) fn write_record(
    connection: &Connection,
    name: &str,
    source: &SourceName,
    definition: &TableDefinition,
) -> rusqlite::Result<()> {
    let json = serde_json::to_string(definition)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let sql = "INSERT INTO tailwater_tables (name, source, definition) VALUES (?1, ?2, ?3)
        ON CONFLICT (name) DO UPDATE SET source = excluded.source, definition = excluded.definition";
    connection.execute(sql, (name, source.as_str(), json)).map(drop)
}

/// Forgets a table's definition.
pub(in super::super) fn forget_record(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM tailwater_tables WHERE name = ?1", [name]).map(drop)
}
