use postgres_protocol::escape::{escape_identifier, escape_literal};

use super::{error::BeginError, plan::PublicationPlan, tables::TableFacts};
use crate::{
    settings::Settings,
    source::{SqlError, SqlSession, answer},
};

/// By this beginning of its comment a publication of ours is known.
const COMMENT: &str = "made by tailwater-capture";
/// How long the making of the publication waits for a table's lock before it gives up.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '10s'";

/// A publication, as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicationFacts {
    /// Made by capture, so it may be changed.
    pub ours: bool,
    /// FOR ALL TABLES.
    pub all_tables: bool,
    /// Kinds of change that it leaves out.
    pub leaves_out: Vec<&'static str>,
}

/// Looks a publication up.
pub async fn publication(
    sql: &SqlSession,
    name: &str,
) -> Result<Option<PublicationFacts>, SqlError> {
    let query = "
        SELECT coalesce(pg_catalog.obj_description(oid, 'pg_publication'), '') LIKE $2 || '%',
               puballtables, pubinsert, pubupdate, pubdelete, pubtruncate
        FROM pg_catalog.pg_publication WHERE pubname = $1";
    let row = answer(sql.query_opt(query, &[&name, &COMMENT])).await?;
    Ok(row.map(|row| {
        let kinds = ["insert", "update", "delete", "truncate"];
        let leaves_out = kinds.into_iter().zip(2..).filter(|(_, at)| !row.get::<_, bool>(*at));
        PublicationFacts {
            ours: row.get(0),
            all_tables: row.get(1),
            leaves_out: leaves_out.map(|(kind, _)| kind).collect(),
        }
    }))
}

/// Makes the publication, all its tables in it. For a first start: what the tables hold is copied.
pub async fn create(
    sql: &mut SqlSession,
    settings: &Settings,
    plan: &PublicationPlan,
) -> Result<(), BeginError> {
    let failed = |source| BeginError::publication(settings, source);
    let transaction = answer(sql.client_mut().transaction()).await.map_err(failed)?;
    answer(transaction.batch_execute(LOCK_TIMEOUT)).await.map_err(failed)?;
    for table in &plan.make_full {
        let full = format!("ALTER TABLE ONLY {} REPLICA IDENTITY FULL", table.quoted());
        answer(transaction.batch_execute(&full)).await.map_err(failed)?;
    }
    let list: Vec<String> = plan.publish.iter().map(|table| listed(table, plan)).collect();
    let tables =
        if list.is_empty() { String::new() } else { format!(" FOR TABLE {}", list.join(", ")) };
    let name = escape_identifier(&settings.publication);
    let create = format!("CREATE PUBLICATION {name}{tables}");
    answer(transaction.batch_execute(&create)).await.map_err(failed)?;
    answer(transaction.batch_execute(&comment(settings, ""))).await.map_err(failed)?;
    answer(transaction.commit()).await.map_err(failed)
}

/// What marks a publication as ours, and `more`.
pub(super) fn comment(settings: &Settings, more: &str) -> String {
    let name = escape_identifier(&settings.publication);
    let text = escape_literal(&format!("{COMMENT} for the source {}{more}", settings.name));
    format!("COMMENT ON PUBLICATION {name} IS {text}")
}

/// A table is listed without those that inherit from it: they are listed by themselves. A partitioned
/// one stands for its partitions.
pub(super) fn listed(table: &TableFacts, plan: &PublicationPlan) -> String {
    let name = table.quoted();
    let columns = plan.columns.get(&table.oid).map(|columns| {
        let quoted: Vec<String> = columns.iter().map(|column| escape_identifier(column)).collect();
        format!(" ({})", quoted.join(", "))
    });
    let only = if table.partitioned { "" } else { "ONLY " };
    format!("{only}{name}{}", columns.unwrap_or_default())
}

/// Removes a publication.
pub async fn drop_publication(sql: &SqlSession, name: &str) -> Result<(), SqlError> {
    let name = escape_identifier(name);
    answer(sql.batch_execute(&format!("DROP PUBLICATION {name}"))).await
}

/// The publications that capture made in this database.
pub async fn our_publications(sql: &SqlSession) -> Result<Vec<String>, SqlError> {
    let query = "
        SELECT pubname::text FROM pg_catalog.pg_publication
        WHERE coalesce(pg_catalog.obj_description(oid, 'pg_publication'), '') LIKE $1 || '%' ORDER BY 1";
    let rows = answer(sql.query(query, &[&COMMENT])).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
