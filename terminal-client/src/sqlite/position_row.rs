use rusqlite::{OptionalExtension, Row};
use wire::SourceName;

use super::{database::Database, load::CREATE_LOAD, schema::CREATE_RECORDS};
use crate::target::{Stored, StoredRow, TargetError};

const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'tailwater_position'";

const CREATE: &str = "CREATE TABLE IF NOT EXISTS tailwater_position (
    source TEXT PRIMARY KEY, lineage TEXT NOT NULL, lsn TEXT NOT NULL, hashes TEXT NOT NULL,
    state TEXT NOT NULL, channels TEXT, channel_map TEXT NOT NULL, updated_at TEXT NOT NULL)";

const READ: &str = "SELECT lineage, lsn, hashes, state, channels, channel_map
    FROM tailwater_position WHERE source = ?1";

const WRITE: &str = "INSERT INTO tailwater_position
    (source, lineage, lsn, hashes, state, channels, channel_map, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    ON CONFLICT (source) DO UPDATE SET lineage = excluded.lineage, lsn = excluded.lsn,
    hashes = excluded.hashes, state = excluded.state, channels = excluded.channels,
    channel_map = excluded.channel_map, updated_at = excluded.updated_at";

/// Only from the position that was read: a second writer must not go unnoticed.
const ADVANCE: &str = "UPDATE tailwater_position SET lsn = ?2, hashes = ?3, channel_map = ?4,
    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE source = ?1 AND lineage = ?5 AND lsn = ?6 AND state = 'ready'";

/// The position row of the source that is followed.
#[derive(Default)]
pub(super) struct PositionRow {
    /// The position as it is in the file.
    last_lsn: Option<String>,
}

impl PositionRow {
    /// The row; none where there is none, or no table for it.
    pub(super) fn read(
        &mut self,
        database: &Database,
        source: &SourceName,
    ) -> Result<Option<Stored>, TargetError> {
        let row = database.did("read tailwater_position", row_of(database, source))?;
        self.last_lsn = row.as_ref().map(|row| row.lsn.clone());
        row.map(|row| row.read(&database.target)).transpose()
    }

    /// When the row was written last; none where there is none.
    pub(super) fn written_at(
        database: &Database,
        source: &SourceName,
    ) -> Result<Option<String>, TargetError> {
        let sql = "SELECT updated_at FROM tailwater_position WHERE source = ?1";
        let connection = &database.connection;
        let read = connection.query_row(sql, [source.as_str()], |row| row.get(0)).optional();
        database.did("read tailwater_position", read)
    }

    /// The sources that have a position row.
    pub(super) fn sources(database: &Database) -> Result<Vec<SourceName>, TargetError> {
        let names = database.did("read tailwater_position", names_of(database))?;
        let name = |name: String| {
            name.parse().map_err(|error: wire::NameError| TargetError::Position {
                target: database.target.clone(),
                field: "source",
                why: error.to_string(),
            })
        };
        names.into_iter().map(name).collect()
    }

    /// Makes our tables where they are missing.
    pub(super) fn prepare(&self, database: &Database) -> Result<(), TargetError> {
        let made = database
            .connection
            .execute_batch(&format!("{CREATE}; {CREATE_RECORDS}; {CREATE_LOAD}"));
        database.did("create the table tailwater_position", made)
    }

    /// Writes all of the row, in the open transaction.
    pub(super) fn write(
        &mut self,
        database: &Database,
        source: &SourceName,
        stored: &Stored,
    ) -> Result<(), TargetError> {
        let row = StoredRow::of(&database.target, stored)?;
        let written = database.connection.execute(
            WRITE,
            (
                source.as_str(),
                &row.lineage,
                &row.lsn,
                &row.hashes,
                &row.state,
                &row.channels,
                &row.channel_map,
            ),
        );
        database.did("write tailwater_position", written)?;
        self.last_lsn = Some(row.lsn);
        Ok(())
    }

    /// Moves the row on, in the open transaction.
    pub(super) fn advance(
        &mut self,
        database: &Database,
        source: &SourceName,
        stored: &Stored,
    ) -> Result<(), TargetError> {
        if self.last_lsn.is_none() {
            self.read(database, source)?;
        }
        let row = StoredRow::of(&database.target, stored)?;
        let last = self.last_lsn.as_deref().unwrap_or_default();
        let values = (source.as_str(), &row.lsn, &row.hashes, &row.channel_map, &row.lineage, last);
        let statement = database.connection.prepare_cached(ADVANCE);
        let written = statement.and_then(|mut statement| statement.execute(values));
        if database.did("write tailwater_position", written)? != 1 {
            return Err(TargetError::Statement {
                target: database.target.clone(),
                doing: format!("move the position of {source} from {last} to {}", row.lsn),
                why: "the row in tailwater_position is not as it was read: another program changed it; nothing was applied".into(),
            });
        }
        self.last_lsn = Some(row.lsn);
        Ok(())
    }
}

fn is_there(database: &Database) -> rusqlite::Result<bool> {
    Ok(database.connection.query_row(EXISTS, [], |_| Ok(())).optional()?.is_some())
}

fn names_of(database: &Database) -> rusqlite::Result<Vec<String>> {
    if !is_there(database)? {
        return Ok(Vec::new());
    }
    let mut names =
        database.connection.prepare("SELECT source FROM tailwater_position ORDER BY 1")?;
    names.query_map([], |row| row.get(0))?.collect()
}

fn row_of(database: &Database, source: &SourceName) -> rusqlite::Result<Option<StoredRow>> {
    if !is_there(database)? {
        return Ok(None);
    }
    let connection = &database.connection;
    let field = |row: &Row<'_>, at: usize| row.get::<_, String>(at);
    connection
        .query_row(READ, [source.as_str()], |row| {
            Ok(StoredRow {
                lineage: field(row, 0)?,
                lsn: field(row, 1)?,
                hashes: field(row, 2)?,
                state: field(row, 3)?,
                channels: row.get(4)?,
                channel_map: field(row, 5)?,
            })
        })
        .optional()
}
