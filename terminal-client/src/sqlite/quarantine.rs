//! Transactions that could not be applied, until they can.

use rusqlite::OptionalExtension;
use wire::{Lsn, SourceName};

use super::database::Database;
use crate::target::{HeldTransaction, TargetError};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS tailwater_quarantine (
    source TEXT NOT NULL, lsn TEXT NOT NULL, since TEXT NOT NULL, why TEXT NOT NULL,
    changes INTEGER NOT NULL, content TEXT NOT NULL, PRIMARY KEY (source, lsn))";

const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'tailwater_quarantine'";

const HOLD: &str = "INSERT INTO tailwater_quarantine (source, lsn, since, why, changes, content)
    VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET why = excluded.why";

const READ: &str = "SELECT lsn, why, content FROM tailwater_quarantine WHERE source = ?1";

const RELEASE: &str = "DELETE FROM tailwater_quarantine WHERE source = ?1 AND lsn = ?2";

const RELEASE_ALL: &str = "DELETE FROM tailwater_quarantine WHERE source = ?1";

/// Puts a transaction there, in the open one.
pub(super) fn hold(
    database: &Database,
    source: &SourceName,
    held: &HeldTransaction,
) -> Result<(), TargetError> {
    let connection = &database.connection;
    database.did("create the table tailwater_quarantine", connection.execute_batch(CREATE))?;
    let changes = i64::try_from(held.operations.len()).unwrap_or(i64::MAX);
    let values = (source.as_str(), held.lsn.to_string(), &held.why, changes, held.to_json());
    database.did("write tailwater_quarantine", connection.execute(HOLD, values)).map(drop)
}

/// Those that are there, in order.
pub(super) fn read(
    database: &Database,
    source: &SourceName,
) -> Result<Vec<HeldTransaction>, TargetError> {
    let rows = database.did("read tailwater_quarantine", rows_of(database, source))?;
    let unreadable = |why: String| TargetError::unreadable_quarantine(&database.target, why);
    let held = rows.into_iter().map(|(lsn, why, content)| {
        let lsn: Lsn = lsn.parse().map_err(|error| unreadable(format!("{error}")))?;
        HeldTransaction::from_json(lsn, why, &content)
            .map_err(|error| unreadable(error.to_string()))
    });
    let mut held: Vec<_> = held.collect::<Result<_, _>>()?;
    held.sort_by_key(|held: &HeldTransaction| held.lsn);
    Ok(held)
}

/// Removes one, in the open transaction.
pub(super) fn release(
    database: &Database,
    source: &SourceName,
    lsn: Lsn,
) -> Result<(), TargetError> {
    let done = database.connection.execute(RELEASE, (source.as_str(), lsn.to_string()));
    database.did("write tailwater_quarantine", done).map(drop)
}

/// Removes all, in the open transaction: what takes the place of all rows has them.
pub(super) fn clear(database: &Database, source: &SourceName) -> Result<(), TargetError> {
    let done = is_there(database).and_then(|there| match there {
        true => database.connection.execute(RELEASE_ALL, [source.as_str()]),
        false => Ok(0),
    });
    database.did("write tailwater_quarantine", done).map(drop)
}

type HeldRow = (String, String, String);

fn rows_of(database: &Database, source: &SourceName) -> rusqlite::Result<Vec<HeldRow>> {
    if !is_there(database)? {
        return Ok(Vec::new());
    }
    let mut read = database.connection.prepare(READ)?;
    read.query_map([source.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

fn is_there(database: &Database) -> rusqlite::Result<bool> {
    Ok(database.connection.query_row(EXISTS, [], |_| Ok(())).optional()?.is_some())
}
