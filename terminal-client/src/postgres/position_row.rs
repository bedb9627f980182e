use tokio_postgres::Client;
use wire::SourceName;

use super::connect::error_of;
use crate::target::{Stored, StoredRow, TargetError};

const EXISTS: &str = "SELECT pg_catalog.to_regclass('tailwater.position') IS NOT NULL";
const SCHEMA_EXISTS: &str = "SELECT pg_catalog.to_regnamespace('tailwater') IS NOT NULL";

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS tailwater.position (
    source text PRIMARY KEY,
    lineage text NOT NULL,
    lsn pg_catalog.pg_lsn NOT NULL,
    hashes text NOT NULL,
    state text NOT NULL,
    channels text,
    channel_map text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tailwater.position IS
    'Where this database stands in each source it follows; written by tailwater-terminal together with the rows. Do not change it.'";

const READ: &str = "SELECT lineage, lsn::text, hashes, state, channels, channel_map
    FROM tailwater.position WHERE source = $1";

const WRITTEN_AT: &str = r#"SELECT to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    FROM tailwater.position WHERE source = $1"#;

const WRITE: &str = "
INSERT INTO tailwater.position (source, lineage, lsn, hashes, state, channels, channel_map)
VALUES ($1, $2, $3::text::pg_catalog.pg_lsn, $4, $5, $6, $7)
ON CONFLICT (source) DO UPDATE SET lineage = excluded.lineage, lsn = excluded.lsn,
    hashes = excluded.hashes, state = excluded.state, channels = excluded.channels,
    channel_map = excluded.channel_map, updated_at = now()";

/// Only from the position that was read: a second writer must not go unnoticed.
const ADVANCE: &str = "
UPDATE tailwater.position SET lsn = $2::text::pg_catalog.pg_lsn, hashes = $3, updated_at = now()
WHERE source = $1 AND lineage = $4 AND lsn = $5::text::pg_catalog.pg_lsn AND state = 'ready'";

const SET_MAP: &str = "UPDATE tailwater.position SET channel_map = $2 WHERE source = $1";

/// The position rows of a target.
#[derive(Default)]
pub(super) struct PositionRow {
    advance: Option<tokio_postgres::Statement>,
    /// As it is in the database.
    last: Option<StoredRow>,
}

impl PositionRow {
    pub(super) async fn read(
        &mut self,
        target: &str,
        client: &Client,
        source: &SourceName,
    ) -> Result<Option<Stored>, TargetError> {
        let failed =
            |error: tokio_postgres::Error| error_of(target, "read tailwater.position", &error);
        let exists: bool =
            client.query_one(EXISTS, &[]).await.and_then(|r| r.try_get(0)).map_err(failed)?;
        if !exists {
            return Ok(None);
        }
        let row = client.query_opt(READ, &[&source.as_str()]).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let field = |at: usize| row.try_get::<_, String>(at).map_err(failed);
        let stored = StoredRow {
            lineage: field(0)?,
            lsn: field(1)?,
            hashes: field(2)?,
            state: field(3)?,
            channels: row.try_get(4).map_err(failed)?,
            channel_map: field(5)?,
        };
        self.last = Some(stored.clone());
        stored.read(target).map(Some)
    }

    /// When the row, which is there, was written last.
    pub(super) async fn written_at(
        &self,
        target: &str,
        client: &Client,
        source: &SourceName,
    ) -> Result<Option<String>, TargetError> {
        let failed =
            |error: tokio_postgres::Error| error_of(target, "read tailwater.position", &error);
        let row = client.query_opt(WRITTEN_AT, &[&source.as_str()]).await.map_err(failed)?;
        row.map(|row| row.try_get(0).map_err(failed)).transpose()
    }

    pub(super) async fn sources(
        &self,
        target: &str,
        client: &Client,
    ) -> Result<Vec<SourceName>, TargetError> {
        let failed =
            |error: tokio_postgres::Error| error_of(target, "read tailwater.position", &error);
        let exists = client.query_one(EXISTS, &[]).await.and_then(|row| row.try_get(0));
        if !exists.map_err(failed)? {
            return Ok(Vec::new());
        }
        let sql = "SELECT source FROM tailwater.position ORDER BY source";
        let rows = client.query(sql, &[]).await.map_err(failed)?;
        let names = rows.iter().map(|row| row.try_get::<_, String>(0));
        let names = names.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        Ok(names.iter().filter_map(|name| SourceName::new(name).ok()).collect())
    }

    /// Makes schema and table where they are missing.
    pub(super) async fn prepare(&self, target: &str, client: &Client) -> Result<(), TargetError> {
        let failed = |error: tokio_postgres::Error| {
            error_of(target, "create the table tailwater.position", &error)
        };
        let exists: bool = client
            .query_one(SCHEMA_EXISTS, &[])
            .await
            .and_then(|r| r.try_get(0))
            .map_err(failed)?;
        if !exists {
            client.batch_execute("CREATE SCHEMA IF NOT EXISTS tailwater").await.map_err(failed)?;
        }
        let exists: bool =
            client.query_one(EXISTS, &[]).await.and_then(|r| r.try_get(0)).map_err(failed)?;
        if !exists {
            client.batch_execute(CREATE).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Whether the row, as it was read last, is of another history.
    pub(super) fn is_of_another(&self, stored: &Stored) -> bool {
        let lineage = stored.position.lineage.to_string();
        self.last.as_ref().is_some_and(|last| last.lineage != lineage)
    }

    /// Writes all of the row.
    pub(super) async fn write(
        &mut self,
        target: &str,
        client: &Client,
        source: &SourceName,
        stored: &Stored,
    ) -> Result<(), TargetError> {
        let row = StoredRow::of(target, stored)?;
        client
            .execute(
                WRITE,
                &[
                    &source.as_str(),
                    &row.lineage,
                    &row.lsn,
                    &row.hashes,
                    &row.state,
                    &row.channels,
                    &row.channel_map,
                ],
            )
            .await
            .map_err(|error| error_of(target, "write tailwater.position", &error))?;
        self.last = Some(row);
        Ok(())
    }

    /// Moves the row on, in the open transaction.
    pub(super) async fn advance(
        &mut self,
        target: &str,
        client: &Client,
        source: &SourceName,
        stored: &Stored,
    ) -> Result<(), TargetError> {
        let failed = |error| error_of(target, "write tailwater.position", &error);
        let row = StoredRow::of(target, stored)?;
        let statement = match &self.advance {
            Some(statement) => statement.clone(),
            None => self.advance.insert(client.prepare(ADVANCE).await.map_err(failed)?).clone(),
        };
        let last = self.last.as_ref().map(|last| last.lsn.as_str()).unwrap_or_default();
        let written = client
            .execute(&statement, &[&source.as_str(), &row.lsn, &row.hashes, &row.lineage, &last])
            .await
            .map_err(failed)?;
        if written != 1 {
            return Err(TargetError::Statement {
                target: target.to_owned(),
                doing: format!("move the position of {source} from {last} to {}", row.lsn),
                why: "the row in tailwater.position is not as it was read: another program changed it; nothing was applied".into(),
            });
        }
        if self.last.as_ref().is_none_or(|last| last.channel_map != row.channel_map) {
            client.execute(SET_MAP, &[&source.as_str(), &row.channel_map]).await.map_err(failed)?;
        }
        self.last = Some(row);
        Ok(())
    }
}
