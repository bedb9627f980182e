//! How many changes did not meet their rows, in the transactions that they were in.

use rusqlite::OptionalExtension;
use wire::{Lsn, SourceName};

use super::database::Database;
use crate::target::{ConflictCount, ConflictKind, Conflicts, TargetError};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS tailwater_conflicts (
    source TEXT NOT NULL, table_name TEXT NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL,
    last_lsn TEXT NOT NULL, last_key TEXT NOT NULL, last_at TEXT NOT NULL,
    PRIMARY KEY (source, table_name, kind))";

const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'tailwater_conflicts'";

const ADD: &str = "INSERT INTO tailwater_conflicts
    (source, table_name, kind, count, last_lsn, last_key, last_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    ON CONFLICT DO UPDATE SET count = count + excluded.count, last_lsn = excluded.last_lsn,
    last_key = excluded.last_key, last_at = excluded.last_at";

const READ: &str = "SELECT table_name, kind, count, last_lsn, last_key FROM tailwater_conflicts
    WHERE source = ?1 ORDER BY 1, 2";

/// Adds those of the open transaction.
pub(super) fn add(
    database: &Database,
    source: &SourceName,
    met: &Conflicts,
) -> Result<(), TargetError> {
    let connection = &database.connection;
    database.did("create the table tailwater_conflicts", connection.execute_batch(CREATE))?;
    for of in met.counts() {
        let count = i64::try_from(of.count).unwrap_or(i64::MAX);
        let (kind, last) = (of.kind.word(), of.last.to_string());
        let values = (source.as_str(), of.table, kind, count, last, of.last_key);
        database.did("write tailwater_conflicts", connection.execute(ADD, values))?;
    }
    Ok(())
}

/// All that there were.
pub(super) fn read(
    database: &Database,
    source: &SourceName,
) -> Result<Vec<ConflictCount>, TargetError> {
    database.did("read tailwater_conflicts", rows_of(database, source))
}

fn rows_of(database: &Database, source: &SourceName) -> rusqlite::Result<Vec<ConflictCount>> {
    let connection = &database.connection;
    if connection.query_row(EXISTS, [], |_| Ok(())).optional()?.is_none() {
        return Ok(Vec::new());
    }
    let mut read = connection.prepare(READ)?;
    let mut rows = read.query([source.as_str()])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        // Of a later version.
        let Some(kind) = ConflictKind::from_word(&row.get::<_, String>(1)?) else { continue };
        counts.push(ConflictCount {
            table: row.get(0)?,
            kind,
            count: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
            last: row.get::<_, String>(3)?.parse().unwrap_or(Lsn::ZERO),
            last_key: row.get(4)?,
        });
    }
    Ok(counts)
}
