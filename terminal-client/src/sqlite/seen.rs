//! Since when the stream has had changes of each table, so that a reload knows which joined later than
//! its snapshot.

use rusqlite::OptionalExtension;
use wire::{Lsn, Snapshot, SourceName};

use super::{
    database::Database,
    schema::{Shape, table_name},
};
use crate::target::{Named, TargetError};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS tailwater_seen (
    source TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE, since TEXT NOT NULL, PRIMARY KEY (source, name))";

const NOTE: &str =
    "INSERT INTO tailwater_seen (source, name, since) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'tailwater_seen'";

const READ: &str = "SELECT name, since FROM tailwater_seen WHERE source = ?1 ORDER BY name";

const FORGET: &str = "DELETE FROM tailwater_seen WHERE source = ?1 AND name = ?2";

const FORGET_ALL: &str = "DELETE FROM tailwater_seen WHERE source = ?1";

const RENAME: &str = "UPDATE tailwater_seen SET name = ?3 WHERE source = ?1 AND name = ?2";

/// Notes where the first change of each of these tables is, in the open transaction.
pub(super) fn note(
    database: &Database,
    source: &SourceName,
    tables: &[(Named, Lsn)],
) -> Result<(), TargetError> {
    let connection = &database.connection;
    database.did("create the table tailwater_seen", connection.execute_batch(CREATE))?;
    for (table, lsn) in tables {
        let name = table_name(&table.schema, &table.name);
        let noted = connection.execute(NOTE, (source.as_str(), name, lsn.to_string()));
        database.did("write tailwater_seen", noted)?;
    }
    Ok(())
}

/// A table has another name now, or is gone.
pub(super) fn renamed(
    database: &Database,
    source: &SourceName,
    from: &str,
    to: Option<&str>,
) -> Result<(), TargetError> {
    let connection = &database.connection;
    let done = connection.execute_batch(CREATE).and_then(|()| {
        // Of a table that had the name before, and has gone.
        connection.execute(FORGET, (source.as_str(), to.unwrap_or(from)))?;
        to.map_or(Ok(0), |to| connection.execute(RENAME, (source.as_str(), from, to)))
    });
    database.did("write tailwater_seen", done).map(drop)
}

/// Whether the stream had changes of the table of that name.
pub(super) fn is_noted(
    database: &Database,
    source: &SourceName,
    name: &str,
) -> Result<bool, TargetError> {
    let seen = database.did("read tailwater_seen", rows_of(database, source))?;
    Ok(seen.iter().any(|(of, _)| of.eq_ignore_ascii_case(name)))
}

/// What was noted is of a history that ended: its positions mean nothing in the one that comes.
pub(super) fn forget_all(database: &Database, source: &SourceName) -> Result<(), TargetError> {
    let connection = &database.connection;
    let done = connection
        .execute_batch(CREATE)
        .and_then(|()| connection.execute(FORGET_ALL, [source.as_str()]));
    database.did("write tailwater_seen", done).map(drop)
}

/// A table of the stream that a snapshot does not have.
#[derive(Debug)]
pub(super) struct Missing {
    /// Its name in SQLite.
    pub(super) name: String,
    /// It joined after the snapshot, at whose position the source had no rows of it; else it was left
    /// out before.
    pub(super) joined: bool,
}

/// The tables here that the stream had changes of, and a snapshot does not have.
pub(super) fn not_in(
    database: &Database,
    source: &SourceName,
    snapshot: &Snapshot,
) -> Result<Vec<Missing>, TargetError> {
    let seen = database.did("read tailwater_seen", rows_of(database, source))?;
    let among = |name: &str| {
        let mut names = snapshot.tables.iter().map(|table| table_name(&table.schema, &table.name));
        names.any(|of| of.eq_ignore_ascii_case(name))
    };
    let mut missing = Vec::new();
    for (name, since) in seen {
        let since: Lsn = since.parse().map_err(|error: wire::ParseLsnError| {
            let (target, field) = (database.target.clone(), "tailwater_seen.since");
            TargetError::Position { target, field, why: error.to_string() }
        })?;
        let there = || Shape::read(&database.connection, &name);
        if !among(&name) && database.did("look up the tables", there())?.is_some() {
            missing.push(Missing { name, joined: since > snapshot.lsn });
        }
    }
    Ok(missing)
}

fn rows_of(database: &Database, source: &SourceName) -> rusqlite::Result<Vec<(String, String)>> {
    let connection = &database.connection;
    if connection.query_row(EXISTS, [], |_| Ok(())).optional()?.is_none() {
        return Ok(Vec::new());
    }
    let mut read = connection.prepare(READ)?;
    read.query_map([source.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
