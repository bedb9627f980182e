//! Since when the stream has had changes of each table, so that a reload knows which joined later than
//! its snapshot.

use tokio_postgres::{Client, Error};
use wire::{Lsn, Snapshot, SourceName};

use super::{connect::error_of, place::Place, quote::qualified};
use crate::target::{Named, TargetError};

const EXISTS: &str = "SELECT pg_catalog.to_regclass('tailwater.seen') IS NOT NULL";

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS tailwater.seen (
    source text, schema_name text, table_name text, since pg_catalog.pg_lsn NOT NULL,
    PRIMARY KEY (source, schema_name, table_name)
);
COMMENT ON TABLE tailwater.seen IS
    'Where the stream''s first change of each table is; written by tailwater-terminal. Do not change it.'";

const NOTE: &str = "
INSERT INTO tailwater.seen (source, schema_name, table_name, since)
SELECT $1, s, t, l::pg_catalog.pg_lsn FROM unnest($2::text[], $3::text[], $4::text[]) n (s, t, l)
ON CONFLICT (source, schema_name, table_name) DO NOTHING";

const READ: &str = "
SELECT schema_name, table_name, since > $2::text::pg_catalog.pg_lsn FROM tailwater.seen
WHERE source = $1 ORDER BY 1, 2";

const FORGET: &str = "
DELETE FROM tailwater.seen WHERE source = $1 AND schema_name = $2 AND table_name = $3";

const FORGET_ALL: &str = "DELETE FROM tailwater.seen WHERE source = $1";

const RENAME: &str = "
UPDATE tailwater.seen SET schema_name = $4, table_name = $5
WHERE source = $1 AND schema_name = $2 AND table_name = $3";

const IS_NOTED: &str = "
SELECT EXISTS (SELECT FROM tailwater.seen WHERE source = $1 AND schema_name = $2 AND table_name = $3)";

const IS_THERE: &str = "SELECT pg_catalog.to_regclass($1::text) IS NOT NULL";

/// Notes where the first change of each of these tables is, in the open transaction.
pub(super) async fn note(
    target: &str,
    client: &Client,
    source: &SourceName,
    tables: &[(Named, Lsn)],
) -> Result<(), TargetError> {
    let failed = |error: Error| error_of(target, "write tailwater.seen", &error);
    if !is_kept(client).await.map_err(failed)? {
        client.batch_execute(CREATE).await.map_err(failed)?;
    }
    let field = |of: fn(&(Named, Lsn)) -> String| tables.iter().map(of).collect::<Vec<String>>();
    let schemas = field(|(table, _)| table.schema.clone());
    let names = field(|(table, _)| table.name.clone());
    let since = field(|(_, lsn)| lsn.to_string());
    let noted = client.execute(NOTE, &[&source.as_str(), &schemas, &names, &since]).await;
    noted.map(drop).map_err(failed)
}

/// A table has another name now, or is gone.
pub(super) async fn renamed(
    target: &str,
    client: &Client,
    source: &SourceName,
    from: &Named,
    to: Option<&Named>,
) -> Result<(), TargetError> {
    let failed = |error: Error| error_of(target, "write tailwater.seen", &error);
    if !is_kept(client).await.map_err(failed)? {
        return Ok(());
    }
    let row = |of: &Named| (of.schema.clone(), of.name.clone());
    // Of a table that had the name before, and has gone.
    let (schema, name) = row(to.unwrap_or(from));
    client.execute(FORGET, &[&source.as_str(), &schema, &name]).await.map_err(failed)?;
    if let Some(to) = to {
        let ((schema, name), (new_schema, new_name)) = (row(from), row(to));
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&source.as_str(), &schema, &name, &new_schema, &new_name];
        client.execute(RENAME, &values).await.map_err(failed)?;
    }
    Ok(())
}

/// Whether there is a table of that name.
pub(super) async fn is_there(
    target: &str,
    client: &Client,
    table: &Named,
) -> Result<bool, TargetError> {
    let of = qualified(&table.schema, &table.name);
    let there = client.query_one(IS_THERE, &[&of]).await.and_then(|row| row.try_get(0));
    there.map_err(|error| error_of(target, "look up a table", &error))
}

/// Whether there is a table of that name that the stream never had changes of.
pub(super) async fn is_strange(
    target: &str,
    client: &Client,
    source: &SourceName,
    table: &Named,
) -> Result<bool, TargetError> {
    let failed = |error: Error| error_of(target, "read tailwater.seen", &error);
    let of = qualified(&table.schema, &table.name);
    let there = client.query_one(IS_THERE, &[&of]).await.and_then(|row| row.try_get(0));
    let there: bool = there.map_err(failed)?;
    if !there || !is_kept(client).await.map_err(failed)? {
        return Ok(there);
    }
    let noted = client.query_one(IS_NOTED, &[&source.as_str(), &table.schema, &table.name]).await;
    noted.and_then(|row| row.try_get(0)).map(|noted: bool| !noted).map_err(failed)
}

/// What was noted is of a history that ended: its positions mean nothing in the one that comes.
pub(super) async fn forget_all(place: Place<'_>) -> Result<(), TargetError> {
    let Place { target, client, source } = place;
    let failed = |error: Error| error_of(target, "write tailwater.seen", &error);
    if !is_kept(client).await.map_err(failed)? {
        return Ok(());
    }
    client.execute(FORGET_ALL, &[&source.as_str()]).await.map(drop).map_err(failed)
}

/// A table of the stream that a snapshot does not have.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) table: Named,
    /// It joined after the snapshot, at whose position the source had no rows of it; else it was left
    /// out before.
    pub(super) joined: bool,
}

/// The tables here that the stream had changes of, and a snapshot does not have.
pub(super) async fn not_in(
    target: &str,
    client: &Client,
    source: &SourceName,
    snapshot: &Snapshot,
) -> Result<Vec<Missing>, TargetError> {
    let failed = |error: Error| error_of(target, "read tailwater.seen", &error);
    if !is_kept(client).await.map_err(failed)? {
        return Ok(Vec::new());
    }
    let lsn = snapshot.lsn.to_string();
    let mut missing = Vec::new();
    for row in client.query(READ, &[&source.as_str(), &lsn]).await.map_err(failed)? {
        let schema: String = row.try_get(0).map_err(failed)?;
        let name: String = row.try_get(1).map_err(failed)?;
        let among = snapshot.tables.iter().any(|of| of.schema == schema && of.name == name);
        let of = qualified(&schema, &name);
        let there = client.query_one(IS_THERE, &[&of]).await.and_then(|row| row.try_get(0));
        if !among && there.map_err(failed)? {
            let joined = row.try_get(2).map_err(failed)?;
            missing.push(Missing { table: Named { schema, name }, joined });
        }
    }
    Ok(missing)
}

async fn is_kept(client: &Client) -> Result<bool, Error> {
    client.query_one(EXISTS, &[]).await.and_then(|row| row.try_get(0))
}
