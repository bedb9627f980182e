//! How many changes did not meet their rows, in the transactions that they were in.

use tokio_postgres::{Client, Error, types::ToSql};
use wire::Lsn;

use super::{connect::error_of, place::Place};
use crate::target::{ConflictCount, ConflictKind, Conflicts, TargetError};

const EXISTS: &str = "SELECT pg_catalog.to_regclass('tailwater.conflicts') IS NOT NULL";

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS tailwater.conflicts (
    source text, table_name text, kind text, count int8 NOT NULL,
    last_lsn pg_catalog.pg_lsn NOT NULL, last_key text NOT NULL, last_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, table_name, kind)
);
COMMENT ON TABLE tailwater.conflicts IS
    'How many of the source''s changes did not meet their rows here, and which was the last; written by tailwater-terminal.'";

const ADD: &str = "
INSERT INTO tailwater.conflicts AS c (source, table_name, kind, count, last_lsn, last_key)
VALUES ($1, $2, $3, $4, $5::text::pg_catalog.pg_lsn, $6)
ON CONFLICT (source, table_name, kind) DO UPDATE SET count = c.count + excluded.count,
    last_lsn = excluded.last_lsn, last_key = excluded.last_key, last_at = now()";

const READ: &str = "
SELECT table_name, kind, count, last_lsn::text, last_key FROM tailwater.conflicts
WHERE source = $1 ORDER BY 1, 2";

/// Adds those of the open transaction.
pub(super) async fn add(place: Place<'_>, met: &Conflicts) -> Result<(), TargetError> {
    let Place { target, client, source } = place;
    let failed = |error: Error| error_of(target, "write tailwater.conflicts", &error);
    if !is_there(client).await.map_err(failed)? {
        client.batch_execute(CREATE).await.map_err(failed)?;
    }
    for of in met.counts() {
        let (kind, last) = (of.kind.word(), of.last.to_string());
        let count = i64::try_from(of.count).unwrap_or(i64::MAX);
        let values: [&(dyn ToSql + Sync); 6] =
            [&source.as_str(), &of.table, &kind, &count, &last, &of.last_key];
        client.execute(ADD, &values).await.map_err(failed)?;
    }
    Ok(())
}

/// All that there were.
pub(super) async fn read(place: Place<'_>) -> Result<Vec<ConflictCount>, TargetError> {
    let Place { target, client, source } = place;
    let failed = |error: Error| error_of(target, "read tailwater.conflicts", &error);
    if !is_there(client).await.map_err(failed)? {
        return Ok(Vec::new());
    }
    let mut counts = Vec::new();
    for row in client.query(READ, &[&source.as_str()]).await.map_err(failed)? {
        let kind: String = row.try_get(1).map_err(failed)?;
        // Of a later version.
        let Some(kind) = ConflictKind::from_word(&kind) else { continue };
        let count: i64 = row.try_get(2).map_err(failed)?;
        let last: String = row.try_get(3).map_err(failed)?;
        counts.push(ConflictCount {
            table: row.try_get(0).map_err(failed)?,
            kind,
            count: u64::try_from(count).unwrap_or(0),
            last: last.parse().unwrap_or(Lsn::ZERO),
            last_key: row.try_get(4).map_err(failed)?,
        });
    }
    Ok(counts)
}

async fn is_there(client: &Client) -> Result<bool, Error> {
    client.query_one(EXISTS, &[]).await.and_then(|row| row.try_get(0))
}
