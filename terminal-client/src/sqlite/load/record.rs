use rusqlite::OptionalExtension;
use wire::SourceName;

use super::super::database::Database;
use crate::target::{LoadPoint, LoadRecord, LoadRow, TargetError};

/// How far the load of each source that is under way is; a row goes with the last part.
pub(in super::super) const CREATE_LOAD: &str = "CREATE TABLE IF NOT EXISTS tailwater_load (
    source TEXT PRIMARY KEY, snapshot TEXT NOT NULL, plan TEXT NOT NULL, point TEXT NOT NULL)";

const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'tailwater_load'";

const READ: &str = "SELECT snapshot, plan, point FROM tailwater_load WHERE source = ?1";

const WRITE: &str = "INSERT INTO tailwater_load (source, snapshot, plan, point)
    VALUES (?1, ?2, ?3, ?4) ON CONFLICT (source) DO UPDATE SET
    snapshot = excluded.snapshot, plan = excluded.plan, point = excluded.point";

/// The load that is not finished.
pub(in super::super) fn unfinished(
    database: &Database,
    source: &SourceName,
) -> Result<Option<LoadRecord>, TargetError> {
    let row = database.did("read tailwater_load", row_of(database, source))?;
    row.map(|row| row.read(&database.target)).transpose()
}

fn row_of(database: &Database, source: &SourceName) -> rusqlite::Result<Option<LoadRow>> {
    let connection = &database.connection;
    if connection.query_row(EXISTS, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let read = |row: &rusqlite::Row<'_>| {
        Ok(LoadRow { snapshot: row.get(0)?, plan: row.get(1)?, point: row.get(2)? })
    };
    connection.query_row(READ, [source.as_str()], read).optional()
}

/// Writes all of the record, in the open transaction.
pub(in super::super) fn write(
    database: &Database,
    source: &SourceName,
    record: &LoadRecord,
) -> Result<(), TargetError> {
    let LoadRow { snapshot, plan, point } = LoadRow::of(&database.target, record)?;
    let values = (source.as_str(), snapshot, plan, point);
    changed(database, source, database.connection.execute(WRITE, values))
}

/// Notes how far the load is, in the open transaction.
pub(in super::super) fn advance(
    database: &Database,
    source: &SourceName,
    point: &LoadPoint,
) -> Result<(), TargetError> {
    let point = LoadRow::point(&database.target, point)?;
    let sql = "UPDATE tailwater_load SET point = ?2 WHERE source = ?1";
    changed(database, source, database.connection.execute(sql, (source.as_str(), point)))
}

/// Says that the load cannot go on: what it left will be removed.
pub(in super::super) fn forsake(
    database: &Database,
    source: &SourceName,
) -> Result<(), TargetError> {
    let sql = "UPDATE tailwater_load SET snapshot = '' WHERE source = ?1";
    changed(database, source, database.connection.execute(sql, [source.as_str()]))
}

/// Removes the record, in the open transaction.
pub(super) fn remove(database: &Database, source: &SourceName) -> Result<(), TargetError> {
    let sql = "DELETE FROM tailwater_load WHERE source = ?1";
    changed(database, source, database.connection.execute(sql, [source.as_str()]))
}

fn changed(
    database: &Database,
    source: &SourceName,
    rows: rusqlite::Result<usize>,
) -> Result<(), TargetError> {
    if database.did("write tailwater_load", rows)? == 1 {
        return Ok(());
    }
    Err(TargetError::Statement {
        target: database.target.clone(),
        doing: format!("note how far the load of {source} is"),
        why: "its row in tailwater_load is gone: another program removed it; nothing of this part was loaded".into(),
    })
}
