//! What the master lacks before it can be captured, and the SQL that puts it right.

mod plugins;
mod server;
mod slot;
mod time_outs;

use std::collections::BTreeSet;

use postgres_protocol::escape::escape_identifier;

use super::{
    finding::Finding,
    plan::{PublicationPlan, plan},
    publication::publication,
    published::published,
    scope::CheckScope,
    tables::{TableFacts, tables},
};
use crate::source::{Source, SqlError, SqlSession, answer};

/// Looks at the server, the role, and the tables. An empty list means that capture can begin.
pub async fn check(
    source: &Source,
    sql: &SqlSession,
    scope: &CheckScope<'_>,
) -> Result<Vec<Finding>, SqlError> {
    let mut findings = server::server(sql, scope).await?;
    findings.extend(plugins::plugins(sql).await?);
    findings.extend(time_outs::time_outs(source, sql).await?);
    let facts = tables(sql).await?;
    let plan = plan(&facts, scope.selection);
    let exists = publication(sql, scope.publication).await?;
    findings.extend(slot::slot(source, sql, scope, exists.is_some()).await?);
    findings.extend(role(source, sql, scope, exists.is_some()).await?);
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

async fn role(
    source: &Source,
    sql: &SqlSession,
    scope: &CheckScope<'_>,
    published: bool,
) -> Result<Vec<Finding>, SqlError> {
    // On Amazon RDS the right is given by membership in rds_replication.
    let query = "
        SELECT r.rolreplication OR r.rolsuper OR EXISTS (
                   SELECT FROM pg_catalog.pg_roles g
                   WHERE g.rolname = 'rds_replication' AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')),
               pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
               r.rolsuper OR EXISTS (
                   SELECT FROM pg_catalog.pg_roles g
                   WHERE g.rolname IN ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin')
                     AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER'))
        FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";
    let row = answer(sql.query_one(query, &[])).await?;
    let (replication, may_create, superuser): (bool, bool, bool) =
        (row.get(0), row.get(1), row.get(2));
    let (name, role) = (source.user(), escape_identifier(source.user()));
    let mut findings = Vec::new();
    if !replication {
        let what = format!("the role {name} has no REPLICATION right");
        findings.push(Finding::missing(what, [format!("ALTER ROLE {role} REPLICATION;")]));
    }
    if scope.ddl && !superuser {
        let what =
            format!("--ddl: the role {name} may not make event triggers, which takes a superuser");
        let or = "-- or leave --ddl out: schema changes then stop the terminals with the statements to run there";
        let give = format!("ALTER ROLE {role} SUPERUSER;");
        findings.push(Finding::missing(what, [give, or.to_owned()]));
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
    // Tables whose identity is still to be decided are read too, once it is.
    let tables = || plan.publish.iter().chain(&plan.keyless);
    let closed: BTreeSet<&str> =
        tables().filter(|table| !table.reachable).map(|t| t.schema.as_str()).collect();
    let unreadable: Vec<_> = tables().filter(|table| !table.readable).collect();
    if !closed.is_empty() || !unreadable.is_empty() {
        let count = tables().filter(|t| !t.readable || !t.reachable).count();
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
    if plan.publish.iter().chain(&plan.keyless).all(|table| table.owned) {
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
    // Published without an identity, a table's updates would fail: the operator decides first.
    let first = (!plan.keyless.is_empty()).then(|| {
        "-- first decide about the tables without a replica identity (above), then run check again: they are not in this list"
            .to_owned()
    });
    vec![Finding::missing(what, first.into_iter().chain([create, member]))]
}

fn names<'a>(tables: impl Iterator<Item = &'a TableFacts>) -> String {
    tables.map(|table| format!("{}.{}", table.schema, table.name)).collect::<Vec<_>>().join(", ")
}
