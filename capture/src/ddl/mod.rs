//! Schema changes of the master, recorded where the user lets capture install event triggers
//! (`--ddl`): each writes a row of `tailwater.schema_changes`, which the publication carries.

mod error;
mod rows_needed;
mod script;

use tokio_postgres::{Transaction, types::ToSql};
use wire::{Lsn, SCHEMA, SCHEMA_CHANGES};

pub use self::{error::DdlError, rows_needed::RowsNeeded};
use crate::{
    begin::publication,
    explain,
    settings::{Keyless, Settings},
    source::{SqlError, SqlSession, answer, answer_within},
};

/// How long the installation waits for locks.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '10s'";
/// How long reading all definitions may take: there may be many.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(600);

/// What the start finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A log begins: its snapshot has the tables as they are now.
    First,
    /// A log goes on. What changed since it was told of last (the triggers were off, a table joined)
    /// is told now.
    Again,
}

/// Installs event triggers, or brings what is installed up to date; notes what tables are like now.
/// The publication must be there.
pub async fn install(
    sql: &mut SqlSession,
    settings: &Settings,
    start: Start,
) -> Result<(), DdlError> {
    let of = publication(sql, &settings.publication).await?;
    let own = of.is_some_and(|publication| publication.ours);
    let refused = |source: SqlError| DdlError::Install { source: Box::new(source) };
    let transaction = answer(sql.client_mut().transaction()).await.map_err(refused)?;
    answer(transaction.batch_execute(LOCK_TIMEOUT)).await.map_err(refused)?;
    let row = answer(transaction.query_one(FOUND, &[])).await.map_err(refused)?;
    let (major, installed): (i32, bool) = (row.get(0), row.get(1));
    let mut found = None;
    if installed {
        check_free(&transaction, &settings.publication).await?;
        let row = answer(transaction.query_opt("SELECT script FROM tailwater.ddl_settings", &[]));
        found = row.await.map_err(refused)?.map(|row| row.get::<_, String>(0));
    }
    let script = script::install(major);
    let version = script::version(&script);
    // Made anew only where it must be: a statement that is under way could meet the gap.
    if found.as_ref() != Some(&version) {
        answer(transaction.batch_execute(&script)).await.map_err(refused)?;
    }
    let row = answer(transaction.query_opt(OWNERS, &[])).await.map_err(refused)?;
    if let Some(row) = row {
        return Err(DdlError::Foreign { what: row.get(0), role: row.get(1) });
    }
    let row = answer(transaction.query_opt(WRITERS, &[])).await.map_err(refused)?;
    if let Some(row) = row {
        return Err(DdlError::Writable { role: row.get(0), what: row.get(1) });
    }
    let selection = &settings.selection;
    let tables = script::like(selection.tables.iter(), Some("%"));
    let exclude = script::like(selection.exclude.iter(), None);
    let make_full = selection.keyless == Keyless::Full;
    let row: [&(dyn ToSql + Sync); 6] =
        [&settings.publication, &version, &own, &tables, &exclude, &make_full];
    answer(transaction.execute(SETTINGS, &row)).await.map_err(refused)?;
    carry(&transaction, settings, own).await?;
    let known = "SELECT EXISTS (SELECT FROM tailwater.ddl_tables)";
    let known: bool = answer(transaction.query_one(known, &[])).await.map_err(refused)?.get(0);
    // The first time there is nothing to compare with.
    if start == Start::First || !known {
        answer_within(WITHIN, transaction.batch_execute(NOTE_ALL)).await.map_err(refused)?;
    }
    if start == Start::First {
        // Of a history that ended: its positions mean nothing in the one that begins.
        let forget = "DELETE FROM tailwater.schema_changes";
        answer(transaction.batch_execute(forget)).await.map_err(refused)?;
    }
    answer(transaction.commit()).await.map_err(refused)?;
    if start == Start::First {
        return Ok(());
    }
    match catch_up(sql).await {
        Err(error @ SqlError::Refused { .. }) => {
            tracing::warn!(
                "what of the schema changed while nothing recorded it is not told yet: {}; it is at the next start",
                explain::chain(&error)
            );
            Ok(())
        }
        done => Ok(done?),
    }
}

/// Tells what changed without having been told of. Each table in a transaction of its own, which locks it
/// before what is noted of it, as the triggers do: otherwise the two could wait for each other, and it is
/// the application's statement that would go untold.
async fn catch_up(sql: &mut SqlSession) -> Result<(), SqlError> {
    answer(sql.execute("SELECT tailwater.ddl_tell_gone($1)", &[&AT_START])).await?;
    let untold = answer_within(WITHIN, sql.query(UNTOLD, &[])).await?;
    for row in untold {
        let (oid, name): (u32, String) = (row.get(0), row.get(1));
        let transaction = answer(sql.client_mut().transaction()).await?;
        let lock = format!("{LOCK_TIMEOUT}; LOCK TABLE ONLY {name} IN ACCESS SHARE MODE NOWAIT");
        if let Err(error) = answer(transaction.batch_execute(&lock)).await {
            // Somebody is at it: their transaction tells.
            tracing::debug!(%error, "the table {name} cannot be looked at");
            continue;
        }
        let tell = "SELECT tailwater.ddl_tell(ARRAY[$1::oid], $2)";
        answer(transaction.execute(tell, &[&oid, &AT_START])).await?;
        answer(transaction.commit()).await?;
        tracing::info!("{name} changed while nothing recorded it: told now");
    }
    Ok(())
}

/// Not by `to_regclass`, which fails where the role may not use the schema: a terminal in the same database
/// makes one of that name.
const FOUND: &str = "
SELECT pg_catalog.current_setting('server_version_num')::int / 10000,
       EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'tailwater' AND c.relname = 'ddl_settings'),
       coalesce((SELECT pg_catalog.bool_and(pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT'))
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = 'tailwater' AND c.relname IN ('ddl_settings', 'schema_changes')), false)";

const SETTINGS: &str = "
WITH others AS (DELETE FROM tailwater.ddl_settings WHERE publication <> $1)
INSERT INTO tailwater.ddl_settings AS old (publication, script, own, tables, exclude, make_full) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (publication) DO UPDATE
SET script = excluded.script, own = excluded.own, tables = excluded.tables, exclude = excluded.exclude, make_full = excluded.make_full
WHERE (old.script, old.own, old.tables, old.exclude, old.make_full) IS DISTINCT FROM ($2, $3, $4, $5, $6)";

/// Schema and tables that somebody else owns, who could put anything in their place: it would run with
/// the rights of the role that installs this, and at the terminals.
const OWNERS: &str = "
SELECT of.what, r.rolname::text
FROM (SELECT 'the schema tailwater' AS what, nspowner AS owner FROM pg_catalog.pg_namespace WHERE nspname = 'tailwater'
    UNION ALL
      SELECT 'the table ' || c.oid::pg_catalog.regclass, c.relowner FROM pg_catalog.pg_class c
      WHERE c.oid IN ('tailwater.schema_changes'::regclass, 'tailwater.ddl_tables'::regclass, 'tailwater.ddl_settings'::regclass)) of
JOIN pg_catalog.pg_roles r ON r.oid = of.owner
WHERE r.rolname <> current_user AND NOT r.rolsuper LIMIT 1";

/// Who may make things in that schema, or write what terminals obey, beside the owner.
const WRITERS: &str = "
SELECT coalesce(r.rolname::text, 'PUBLIC'), of.what
FROM (SELECT 'SCHEMA tailwater' AS what, nspowner AS owner, nspacl AS acl, ARRAY['CREATE'] AS rights
      FROM pg_catalog.pg_namespace WHERE nspname = 'tailwater'
    UNION ALL
      SELECT c.oid::pg_catalog.regclass::text, c.relowner, c.relacl, ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']
      FROM pg_catalog.pg_class c
      WHERE c.oid IN ('tailwater.schema_changes'::regclass, 'tailwater.ddl_tables'::regclass, 'tailwater.ddl_settings'::regclass)) of
CROSS JOIN LATERAL pg_catalog.aclexplode(of.acl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE a.privilege_type = ANY(of.rights) AND a.grantee <> of.owner LIMIT 1";

/// As they are now, without a word to anyone.
const NOTE_ALL: &str = "
DELETE FROM tailwater.ddl_tables;
INSERT INTO tailwater.ddl_tables (oid, definition)
SELECT of.oid, tailwater.ddl_definition(of.oid) FROM tailwater.ddl_captured() of(oid)";

const UNTOLD: &str = "SELECT oid, name FROM tailwater.ddl_untold()";

/// In the place of a statement's tag.
const AT_START: &str = "start of tailwater-capture";

/// One capture of a database records its schema changes.
async fn check_free(transaction: &Transaction<'_>, publication: &str) -> Result<(), DdlError> {
    let query = "
        SELECT s.publication FROM tailwater.ddl_settings s
        JOIN pg_catalog.pg_publication p ON p.pubname = s.publication WHERE s.publication <> $1";
    let other = answer(transaction.query_opt(query, &[&publication])).await;
    let other = other.map_err(|source| DdlError::Install { source: Box::new(source) })?;
    other.map_or(Ok(()), |row| Err(DdlError::Taken { publication: row.get(0) }))
}

/// Lets the publication carry the records; one of the user's own must do so already.
async fn carry(
    transaction: &Transaction<'_>,
    settings: &Settings,
    own: bool,
) -> Result<(), DdlError> {
    let refused = |source: SqlError| DdlError::Install { source: Box::new(source) };
    // Not by pg_publication_tables, which waits for tables that are locked on some versions.
    let query = "
        SELECT p.puballtables OR EXISTS (
            SELECT FROM pg_catalog.pg_publication_rel r
            WHERE r.prpubid = p.oid AND r.prrelid = 'tailwater.schema_changes'::regclass)
        FROM pg_catalog.pg_publication p WHERE p.pubname = $1";
    let row =
        answer(transaction.query_opt(query, &[&settings.publication])).await.map_err(refused)?;
    if row.is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    let publication = postgres_protocol::escape::escape_identifier(&settings.publication);
    let add = format!("ALTER PUBLICATION {publication} ADD TABLE {SCHEMA}.{SCHEMA_CHANGES}");
    if !own {
        return Err(DdlError::NotCarried { publication: settings.publication.clone(), add });
    }
    answer(transaction.batch_execute(&add)).await.map_err(refused)
}

/// The publication whose tables' changes are recorded; none where nothing is installed, or where the role may
/// not see what is.
pub async fn installed(sql: &SqlSession) -> Result<Option<String>, SqlError> {
    let there = answer(sql.query_one(FOUND, &[])).await?;
    if !there.get::<_, bool>(1) || !there.get::<_, bool>(2) {
        return Ok(None);
    }
    let row = answer(sql.query_opt("SELECT publication FROM tailwater.ddl_settings", &[])).await?;
    Ok(Some(row.map(|row| row.get(0)).unwrap_or_default()))
}

/// The OID of the table whose rows terminals obey, where a role that may decide that owns it.
pub async fn trusted_table(sql: &SqlSession) -> Result<Option<u32>, SqlError> {
    let query = "
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'tailwater' AND c.relname = 'schema_changes' AND (r.rolsuper OR r.rolname = current_user)
          AND EXISTS (SELECT FROM pg_catalog.pg_class s WHERE s.relnamespace = n.oid AND s.relname = 'ddl_settings')";
    Ok(answer(sql.query_opt(query, &[])).await?.map(|row| row.get(0)))
}

/// The newest schema change that left rows out of the stream, as far as is known; zero where there is none.
pub async fn newest_gap(sql: &SqlSession) -> Result<Lsn, SqlError> {
    if installed(sql).await?.is_none() {
        return Ok(Lsn::ZERO);
    }
    let query = "
        SELECT max(lsn)::text FROM tailwater.schema_changes WHERE (change ->> 'rows_needed')::boolean";
    let text: Option<String> = answer(sql.query_one(query, &[])).await?.get(0);
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(Lsn::ZERO))
}

/// Removes all of it, the records too.
pub async fn remove(sql: &SqlSession) -> Result<(), SqlError> {
    answer(sql.batch_execute(script::REMOVE)).await
}
