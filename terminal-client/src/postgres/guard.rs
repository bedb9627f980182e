//! The guard of `--guard`: triggers that refuse writers other than this program. It is one against accidents:
//! whoever may set `session_replication_role`, or says `SET tailwater.applying = 'on'`, writes all the same.

use tokio_postgres::Error;

use super::{
    connect::error_of,
    create::run,
    known,
    place::Place,
    quote::{literal, qualified},
};
use crate::target::{Named, TargetError};

const EXISTS: &str = "SELECT pg_catalog.to_regclass('tailwater.guarded') IS NOT NULL";

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS tailwater.guarded (source text PRIMARY KEY);
COMMENT ON TABLE tailwater.guarded IS
    'Sources whose tables refuse other writers; written by tailwater-terminal pull --guard. Do not change it.'";

const IS_ON: &str = "SELECT EXISTS (SELECT FROM tailwater.guarded WHERE source = $1)";
const ON: &str = "INSERT INTO tailwater.guarded (source) VALUES ($1) ON CONFLICT DO NOTHING";
const OFF: &str = "DELETE FROM tailwater.guarded WHERE source = $1";

const FUNCTION_EXISTS: &str =
    "SELECT pg_catalog.to_regprocedure('tailwater.refuse_write()') IS NOT NULL";

/// A code of our own: those of PostgreSQL's that come near it make drivers and pools look for another server.
const FUNCTION: &str = "
CREATE FUNCTION tailwater.refuse_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'TW001',
        MESSAGE = pg_catalog.format('table %I.%I is written by tailwater from source %s, and by nothing else', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]),
        HINT = 'Write at the master. To write here all the same, take the guard off: tailwater-terminal pull with --guard=false.';
END $$";

/// The tables, and the partitioned ones above them, that have no guard yet. A statement fires the triggers of
/// the table that it names.
const UNGUARDED: &str = "
WITH RECURSIVE ours (oid) AS (
    SELECT pg_catalog.to_regclass(n)::oid FROM pg_catalog.unnest($1::text[]) n
  UNION
    SELECT p.oid FROM ours JOIN pg_catalog.pg_inherits i ON i.inhrelid = ours.oid
    JOIN pg_catalog.pg_class p ON p.oid = i.inhparent AND p.relkind = 'p'
)
SELECT c.oid::pg_catalog.regclass::text FROM ours JOIN pg_catalog.pg_class c ON c.oid = ours.oid
WHERE c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
    WHERE t.tgrelid = c.oid AND t.tgfoid = pg_catalog.to_regprocedure('tailwater.refuse_write()'))
ORDER BY 1";

/// The tables that have it for a source; of all of them, or that one.
const GUARDED: &str = "
SELECT t.tgrelid::pg_catalog.regclass::text FROM pg_catalog.pg_trigger t
WHERE t.tgfoid = pg_catalog.to_regprocedure('tailwater.refuse_write()')
    AND t.tgargs = pg_catalog.convert_to($1, 'UTF8') || '\\x00'::bytea
    AND ($2::text IS NULL OR t.tgrelid = pg_catalog.to_regclass($2))
ORDER BY 1";

/// Whether other writers are refused.
pub(super) async fn is_on(place: Place<'_>) -> Result<bool, TargetError> {
    let failed = |error: Error| error_of(place.target, "read tailwater.guarded", &error);
    let exists = place.client.query_one(EXISTS, &[]).await.and_then(|row| row.try_get(0));
    if !exists.map_err(failed)? {
        return Ok(false);
    }
    let on = place.client.query_one(IS_ON, &[&place.source.as_str()]).await;
    on.and_then(|row| row.try_get(0)).map_err(failed)
}

/// Says that they are from here on, and puts the guard on the tables that are there, one by one: each waits
/// for those that are writing to that table.
pub(super) async fn put_on(place: Place<'_>) -> Result<(), TargetError> {
    if !is_on(place).await? {
        run(place.target, place.client, "create the table tailwater.guarded", CREATE).await?;
        said(place, ON).await?;
    }
    keep(place).await
}

/// Puts it on tables that came, where it is on.
pub(super) async fn keep(place: Place<'_>) -> Result<(), TargetError> {
    if !is_on(place).await? {
        return Ok(());
    }
    let Place { target, client, source } = place;
    let failed = |error: Error| error_of(target, "look up the tables to guard", &error);
    let known = known::read(place).await?;
    let names: Vec<String> =
        known.values().map(|of| qualified(&of.table.schema, &of.table.name)).collect();
    let exists = client.query_one(FUNCTION_EXISTS, &[]).await.and_then(|row| row.try_get(0));
    if !exists.map_err(failed)? {
        run(target, client, "create the function tailwater.refuse_write", FUNCTION).await?;
    }
    for row in client.query(UNGUARDED, &[&names]).await.map_err(failed)? {
        let table: String = row.try_get(0).map_err(failed)?;
        let sql = format!(
            "CREATE TRIGGER tailwater_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT \
             WHEN (pg_catalog.current_setting('tailwater.applying', true) IS DISTINCT FROM 'on') \
             EXECUTE FUNCTION tailwater.refuse_write({})",
            literal(source.as_str())
        );
        run(target, client, &format!("guard the table {table} (--guard)"), &sql).await?;
        tracing::info!("{table} is guarded: other writers are refused");
    }
    Ok(())
}

/// Takes it off a table that is not the source's any more.
pub(super) async fn take_off(place: Place<'_>, table: Option<&Named>) -> Result<(), TargetError> {
    let Place { target, client, source } = place;
    let failed = |error: Error| error_of(target, "look up the tables that are guarded", &error);
    let name = table.map(|of| qualified(&of.schema, &of.name));
    let rows = client.query(GUARDED, &[&source.as_str(), &name]).await.map_err(failed)?;
    for row in rows {
        let table: String = row.try_get(0).map_err(failed)?;
        let sql = format!("DROP TRIGGER IF EXISTS tailwater_guard ON {table}");
        run(target, client, &format!("take the guard off the table {table}"), &sql).await?;
        tracing::info!("{table} is not guarded any more");
    }
    Ok(())
}

/// Takes it off all tables.
pub(super) async fn end(place: Place<'_>) -> Result<(), TargetError> {
    take_off(place, None).await?;
    if is_on(place).await? { said(place, OFF).await } else { Ok(()) }
}

async fn said(place: Place<'_>, sql: &str) -> Result<(), TargetError> {
    let done = place.client.execute(sql, &[&place.source.as_str()]).await;
    done.map(drop).map_err(|error| error_of(place.target, "write tailwater.guarded", &error))
}
