//! What the master lacks before it can be captured, and the SQL that puts it right.

use std::collections::BTreeSet;

use postgres_protocol::escape::escape_identifier;

use super::{
    finding::Finding,
    plan::{PublicationPlan, plan},
    publication::publication,
    published::published,
    tables::{TableFacts, tables},
};
use crate::{
    settings::Selection,
    source::{Source, SqlError, SqlSession},
};

/// Partitioned tables can be published from here on.
const OLDEST_MAJOR: i32 = 13;
/// A publication can list columns from here on.
const COLUMN_LISTS_MAJOR: i32 = 15;

/// What is to be captured, as far as it decides what is needed.
#[derive(Debug, Clone)]
pub struct CheckScope<'a> {
    pub slot: &'a str,
    pub publication: &'a str,
    pub selection: &'a Selection,
}

/// Looks at the server, the role, and the tables. An empty list means that capture can begin.
pub async fn check(
    source: &Source,
    sql: &SqlSession,
    scope: &CheckScope<'_>,
) -> Result<Vec<Finding>, SqlError> {
    let mut findings = server(sql, scope).await?;
    let facts = tables(sql).await?;
    let plan = plan(&facts, scope.selection);
    let exists = publication(sql, scope.publication).await?;
    findings.extend(role(source, sql, exists.is_some()).await?);
    findings.extend(rights(source, scope, &plan, exists.is_some()));
    if let Some(exists) = &exists {
        if !exists.leaves_out.is_empty() {
            let kinds = exists.leaves_out.join(", ");
            let what = format!(
                "the publication '{}' leaves out {kinds}: terminals will not get them",
                scope.publication
            );
            findings.push(Finding::note(what, []));
        }
        if exists.all_tables {
            let what = format!(
                "the publication '{}' is FOR ALL TABLES: a table made later without a primary key is published at once, \
                 and the application's UPDATE on it fails",
                scope.publication
            );
            findings.push(Finding::note(what, []));
        }
    }
    if exists.is_some_and(|exists| !exists.ours) {
        findings.extend(parts_left_out(sql, scope).await?);
    }
    if plan.publish.is_empty() {
        let what = format!("no table matches {}: nothing will be captured", scope.selection.tables);
        findings.push(Finding::note(what, []));
    }
    Ok(findings)
}

/// Row filters and column lists of a publication that the user made.
async fn parts_left_out(
    sql: &SqlSession,
    scope: &CheckScope<'_>,
) -> Result<Vec<Finding>, SqlError> {
    let mut findings = Vec::new();
    for table in published(&**sql, scope.publication).await? {
        let name = format!("{}.{}", table.schema, table.name);
        if let Some(filter) = table.row_filter {
            let what =
                format!("the publication carries only rows of {name} for which {filter} holds");
            findings.push(Finding::note(what, []));
        }
        if !table.unpublished.is_empty() {
            let columns = table.unpublished.join(", ");
            let what = format!("the publication leaves out columns of {name}: {columns}");
            findings.push(Finding::note(what, []));
        }
    }
    Ok(findings)
}

async fn server(sql: &SqlSession, scope: &CheckScope<'_>) -> Result<Vec<Finding>, SqlError> {
    let query = "
        SELECT pg_catalog.current_setting('server_version_num')::int / 10000,
               pg_catalog.current_setting('wal_level'),
               pg_catalog.current_setting('max_replication_slots')::int8,
               (SELECT count(*) FROM pg_catalog.pg_replication_slots),
               EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1),
               pg_catalog.current_setting('max_wal_senders')::int8,
               (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender'),
               pg_catalog.pg_is_in_recovery(),
               (SELECT pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database
                WHERE datname = pg_catalog.current_database()),
               pg_catalog.current_setting('max_slot_wal_keep_size', true)";
    let row = sql.query_one(query, &[&scope.slot]).await;
    let row = row.map_err(|error| SqlError::of("the master", error))?;
    let mut findings = Vec::new();
    let (major, wal_level): (i32, String) = (row.get(0), row.get(1));
    if major < COLUMN_LISTS_MAJOR && scope.selection.exclude.iter().next().is_some() {
        let what = format!(
            "the server is PostgreSQL {major}: columns can be left out from {COLUMN_LISTS_MAJOR} on"
        );
        findings
            .push(Finding::missing(what, ["upgrade the server, or leave exclude out".to_owned()]));
    }
    if major < OLDEST_MAJOR {
        let what = format!("the server is PostgreSQL {major}, {OLDEST_MAJOR} or later is needed");
        findings.push(Finding::missing(what, ["upgrade the server".to_owned()]));
    }
    if wal_level != "logical" {
        let what = format!("wal_level is '{wal_level}', 'logical' is needed");
        let restart = "-- then restart the server".to_owned();
        findings.push(Finding::missing(
            what,
            ["ALTER SYSTEM SET wal_level = 'logical';".to_owned(), restart],
        ));
    }
    let (slots, used, exists): (i64, i64, bool) = (row.get(2), row.get(3), row.get(4));
    if !exists && used >= slots {
        let what = format!("all {slots} replication slots are taken (max_replication_slots)");
        let raise = format!("ALTER SYSTEM SET max_replication_slots = {};", slots + 5);
        let or = "-- then restart the server; or drop a slot nobody uses: SELECT * FROM pg_replication_slots WHERE NOT active;";
        findings.push(Finding::missing(what, [raise, or.to_owned()]));
    }
    let (senders, busy): (i64, i64) = (row.get(5), row.get(6));
    if busy >= senders {
        let what = format!("all {senders} WAL senders are taken (max_wal_senders)");
        let raise = format!("ALTER SYSTEM SET max_wal_senders = {};", senders + 5);
        findings.push(Finding::missing(what, [raise, "-- then restart the server".to_owned()]));
    }
    if row.get(7) {
        let what = "the server is a standby: capture needs the master".to_owned();
        findings.push(Finding::missing(what, ["point --source to the master".to_owned()]));
    }
    if row.get::<_, &str>(8) == "SQL_ASCII" {
        let what = "the database's encoding is SQL_ASCII: texts that are not UTF-8 cannot be stored by most terminals";
        findings.push(Finding::note(what, []));
    }
    if row.get::<_, Option<&str>>(9) == Some("-1") {
        let what = "max_slot_wal_keep_size is -1: while no relay takes changes, the master keeps WAL until its disk is full";
        let limit = "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); -- a limit you can spare";
        findings.push(Finding::note(what, [limit.to_owned()]));
    }
    Ok(findings)
}

async fn role(
    source: &Source,
    sql: &SqlSession,
    published: bool,
) -> Result<Vec<Finding>, SqlError> {
    // On Amazon RDS the right is given by membership in rds_replication.
    let query = "
        SELECT r.rolreplication OR r.rolsuper OR EXISTS (
                   SELECT FROM pg_catalog.pg_roles g
                   WHERE g.rolname = 'rds_replication' AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')),
               pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
        FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";
    let row = sql.query_one(query, &[]).await;
    let row = row.map_err(|error| SqlError::of("the master", error))?;
    let (replication, may_create): (bool, bool) = (row.get(0), row.get(1));
    let (name, role) = (source.user(), escape_identifier(source.user()));
    let mut findings = Vec::new();
    if !replication {
        let what = format!("the role {name} has no REPLICATION right");
        findings.push(Finding::missing(what, [format!("ALTER ROLE {role} REPLICATION;")]));
    }
    if !may_create && !published {
        let what = format!(
            "the role {name} may not create a publication in the database {}",
            source.database()
        );
        let database = escape_identifier(source.database());
        let grant = format!("GRANT CREATE ON DATABASE {database} TO {role};");
        findings.push(Finding::missing(what, [grant]));
    }
    Ok(findings)
}

fn rights(
    source: &Source,
    scope: &CheckScope<'_>,
    plan: &PublicationPlan,
    published: bool,
) -> Vec<Finding> {
    let mut findings = reading(source, plan);
    findings.extend(keyless(plan));
    findings.extend(
        plan.cannot_exclude
            .iter()
            .map(|why| Finding::missing(format!("a column cannot be left out: {why}"), [])),
    );
    if !published {
        findings.extend(publishing(source, scope, plan));
    }
    findings
}

/// What the first copy needs.
fn reading(source: &Source, plan: &PublicationPlan) -> Vec<Finding> {
    let mut findings = Vec::new();
    let role = escape_identifier(source.user());
    let closed: BTreeSet<&str> =
        plan.publish.iter().filter(|table| !table.reachable).map(|t| t.schema.as_str()).collect();
    let unreadable: Vec<_> = plan.publish.iter().filter(|table| !table.readable).collect();
    if !closed.is_empty() || !unreadable.is_empty() {
        let count = plan.publish.iter().filter(|t| !t.readable || !t.reachable).count();
        let what = format!("the role {} may not read {count} of the tables", source.user());
        let schemas = closed.into_iter().map(|schema| {
            format!("GRANT USAGE ON SCHEMA {} TO {role};", escape_identifier(schema))
        });
        let tables =
            unreadable.iter().map(|table| format!("GRANT SELECT ON {} TO {role};", table.quoted()));
        findings.push(Finding::missing(what, schemas.chain(tables)));
    }
    let filtered: Vec<&TableFacts> = plan.publish.iter().filter(|table| table.filtered).collect();
    if !filtered.is_empty() {
        let what = format!(
            "row level security hides rows from the role {}: {}",
            source.user(),
            names(filtered.into_iter())
        );
        findings.push(Finding::missing(what, [format!("ALTER ROLE {role} BYPASSRLS;")]));
    }
    findings
}

fn keyless(plan: &PublicationPlan) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !plan.keyless.is_empty() {
        let what = format!(
            "{} without a usable replica identity: published, every UPDATE and DELETE on them would fail",
            match plan.keyless.len() {
                1 => "1 table is".to_owned(),
                many => format!("{many} tables are"),
            }
        );
        let full = |table: &TableFacts| {
            let (name, why) = (table.quoted(), table.identity.reason());
            format!("ALTER TABLE {name} REPLICA IDENTITY FULL; -- {why}")
        };
        let mut remedy: Vec<String> = plan.keyless.iter().map(full).collect();
        remedy.push(
            "-- or a primary key for each; or run with --keyless full, or --keyless skip"
                .to_owned(),
        );
        findings.push(Finding::missing(what, remedy));
    }
    if !plan.left_out.is_empty() {
        let what = format!(
            "left out, because they have no usable replica identity: {}",
            names(plan.left_out.iter())
        );
        findings.push(Finding::note(what, []));
    }
    findings
}

/// What making the publication needs.
fn publishing(source: &Source, scope: &CheckScope<'_>, plan: &PublicationPlan) -> Vec<Finding> {
    if plan.publish.iter().all(|table| table.owned) {
        return Vec::new();
    }
    let list: Vec<String> = plan.publish.iter().map(TableFacts::quoted).collect();
    let what =
        format!("the role {} does not own all tables, so it cannot publish them", source.user());
    let create = format!(
        "CREATE PUBLICATION {} FOR TABLE {}; -- by a superuser",
        escape_identifier(scope.publication),
        list.join(", ")
    );
    let member =
        format!("-- or: GRANT <owner of the tables> TO {};", escape_identifier(source.user()));
    vec![Finding::missing(what, [create, member])]
}

fn names<'a>(tables: impl Iterator<Item = &'a TableFacts>) -> String {
    tables.map(|table| format!("{}.{}", table.schema, table.name)).collect::<Vec<_>>().join(", ")
}
