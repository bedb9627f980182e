//! Transactions that could not be applied, until they can.

use tokio_postgres::{Client, Error};
use wire::Lsn;

use super::{connect::error_of, place::Place};
use crate::target::{HeldTransaction, Reference, TargetError};

const EXISTS: &str = "SELECT pg_catalog.to_regclass('tailwater.quarantine') IS NOT NULL";

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS tailwater.quarantine (
    source text, lsn pg_catalog.pg_lsn, since timestamptz NOT NULL DEFAULT now(), why text NOT NULL,
    changes int8 NOT NULL, content text NOT NULL, PRIMARY KEY (source, lsn)
);
COMMENT ON TABLE tailwater.quarantine IS
    'Transactions of the source that could not be applied here, as JSON; `tailwater-terminal retry` applies them. Written by tailwater-terminal.'";

const HOLD: &str = "
INSERT INTO tailwater.quarantine (source, lsn, why, changes, content)
VALUES ($1, $2::text::pg_catalog.pg_lsn, $3, $4, $5)
ON CONFLICT (source, lsn) DO UPDATE SET why = excluded.why";

const READ: &str = "
SELECT lsn::text, why, content FROM tailwater.quarantine WHERE source = $1 ORDER BY tailwater.quarantine.lsn";

const RELEASE: &str =
    "DELETE FROM tailwater.quarantine WHERE source = $1 AND lsn = $2::text::pg_catalog.pg_lsn";

const RELEASE_ALL: &str = "DELETE FROM tailwater.quarantine WHERE source = $1";

const REFERENCES: &str = "
SELECT n.nspname || '.' || c.relname, pn.nspname || '.' || p.relname,
    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, at)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.at),
    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, at)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.at)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f'";

/// Puts a transaction there, in the open one.
pub(super) async fn hold(place: Place<'_>, held: &HeldTransaction) -> Result<(), TargetError> {
    let Place { target, client, source } = place;
    let failed = |error: Error| error_of(target, "write tailwater.quarantine", &error);
    if !is_there(client).await.map_err(failed)? {
        client.batch_execute(CREATE).await.map_err(failed)?;
    }
    let changes = i64::try_from(held.operations.len()).unwrap_or(i64::MAX);
    let (lsn, content) = (held.lsn.to_string(), held.to_json());
    let written =
        client.execute(HOLD, &[&source.as_str(), &lsn, &held.why, &changes, &content]).await;
    written.map(drop).map_err(failed)
}

/// Those that are there, in order.
pub(super) async fn read(place: Place<'_>) -> Result<Vec<HeldTransaction>, TargetError> {
    let Place { target, client, source } = place;
    let failed = |error: Error| error_of(target, "read tailwater.quarantine", &error);
    if !is_there(client).await.map_err(failed)? {
        return Ok(Vec::new());
    }
    let rows = client.query(READ, &[&source.as_str()]).await.map_err(failed)?;
    let unreadable = |why: String| TargetError::unreadable_quarantine(target, why);
    let held = rows.iter().map(|row| {
        let field = |at: usize| row.try_get::<_, String>(at).map_err(failed);
        let lsn: Lsn = field(0)?.parse().map_err(|error| unreadable(format!("{error}")))?;
        let held = HeldTransaction::from_json(lsn, field(1)?, &field(2)?);
        held.map_err(|error| unreadable(error.to_string()))
    });
    held.collect()
}

/// Removes one, in the open transaction.
pub(super) async fn release(place: Place<'_>, lsn: Lsn) -> Result<(), TargetError> {
    let Place { target, client, source } = place;
    let done = client.execute(RELEASE, &[&source.as_str(), &lsn.to_string()]).await;
    done.map(drop).map_err(|error| error_of(target, "write tailwater.quarantine", &error))
}

/// Removes all, in the open transaction: what takes the place of all rows has them.
pub(super) async fn clear(place: Place<'_>) -> Result<(), TargetError> {
    let Place { target, client, source } = place;
    let failed = |error: Error| error_of(target, "write tailwater.quarantine", &error);
    if !is_there(client).await.map_err(failed)? {
        return Ok(());
    }
    client.execute(RELEASE_ALL, &[&source.as_str()]).await.map(drop).map_err(failed)
}

/// The foreign keys of the database.
pub(super) async fn references(
    target: &str,
    client: &Client,
) -> Result<Vec<Reference>, TargetError> {
    let failed = |error: Error| error_of(target, "read pg_constraint", &error);
    let rows = client.query(REFERENCES, &[]).await.map_err(failed)?;
    let reference = |row: &tokio_postgres::Row| -> Result<Reference, Error> {
        Ok(Reference {
            table: row.try_get(0)?,
            parent: row.try_get(1)?,
            columns: row.try_get(2)?,
            parent_columns: row.try_get(3)?,
        })
    };
    rows.iter().map(|row| reference(row).map_err(failed)).collect()
}

async fn is_there(client: &Client) -> Result<bool, Error> {
    client.query_one(EXISTS, &[]).await.and_then(|row| row.try_get(0))
}
