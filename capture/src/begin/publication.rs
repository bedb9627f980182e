use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::Transaction;

use super::{
    error::BeginError,
    plan::PublicationPlan,
    published::published,
    tables::{TableFacts, quoted},
};
use crate::{
    settings::Settings,
    source::{SqlError, SqlSession, answer},
};

/// By this beginning of its comment a publication of ours is known.
const COMMENT: &str = "made by tailwater-capture";
/// How long a change of the publication waits for a table's lock before it gives up.
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

/// What was done to the publication, for the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Tables that joined, as `schema.table`.
    pub joined: Vec<String>,
    /// Tables that match, but have rows already: they stay out.
    pub waiting: Vec<String>,
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
    let comment = format!("{COMMENT} for the source {}", settings.name);
    let comment = escape_literal(&comment);
    let comment = format!("COMMENT ON PUBLICATION {name} IS {comment}");
    answer(transaction.batch_execute(&comment)).await.map_err(failed)?;
    answer(transaction.commit()).await.map_err(failed)
}

/// A table is listed without those that inherit from it: they are listed by themselves. A partitioned
/// one stands for its partitions.
fn listed(table: &TableFacts, plan: &PublicationPlan) -> String {
    let name = table.quoted();
    let columns = plan.columns.get(&table.oid).map(|columns| {
        let quoted: Vec<String> = columns.iter().map(|column| escape_identifier(column)).collect();
        format!(" ({})", quoted.join(", "))
    });
    let only = if table.partitioned { "" } else { "ONLY " };
    format!("{only}{name}{}", columns.unwrap_or_default())
}

/// Lets tables that match and are not in yet join a publication that is in use. Only an empty table
/// can: the rows of another would never reach the terminals.
pub async fn extend(
    sql: &mut SqlSession,
    settings: &Settings,
    plan: &PublicationPlan,
) -> Result<Prepared, BeginError> {
    let failed = |source| BeginError::publication(settings, source);
    let carried = published(&**sql, &settings.publication).await?;
    let listed = listed_oids(sql, &settings.publication).await.map_err(failed)?;
    let mut prepared = Prepared::default();
    for table in &plan.publish {
        let known = listed.contains(&table.oid) || carried.iter().any(|t| t.oid == table.oid);
        if known {
            continue;
        }
        let transaction = answer(sql.client_mut().transaction()).await.map_err(failed)?;
        let joined = join(&transaction, settings, table, plan).await.map_err(failed)?;
        answer(transaction.commit()).await.map_err(failed)?;
        let name = format!("{}.{}", table.schema, table.name);
        if joined { prepared.joined.push(name) } else { prepared.waiting.push(name) }
    }
    Ok(prepared)
}

async fn listed_oids(sql: &SqlSession, publication: &str) -> Result<Vec<u32>, SqlError> {
    let query = "
        SELECT r.prrelid FROM pg_catalog.pg_publication_rel r
        JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE p.pubname = $1";
    Ok(answer(sql.query(query, &[&publication])).await?.iter().map(|row| row.get(0)).collect())
}

/// Adds the table if it is empty, under a lock that keeps it so until the commit.
async fn join(
    transaction: &Transaction<'_>,
    settings: &Settings,
    table: &TableFacts,
    plan: &PublicationPlan,
) -> Result<bool, SqlError> {
    let name = quoted(&table.schema, &table.name);
    answer(transaction.batch_execute(LOCK_TIMEOUT)).await?;
    let lock = format!("LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE");
    answer(transaction.batch_execute(&lock)).await?;
    let only = if table.partitioned { "" } else { "ONLY " };
    let filled = format!("SELECT EXISTS (SELECT FROM {only}{name})");
    if answer(transaction.query_one(&filled, &[])).await?.get(0) {
        return Ok(false);
    }
    if plan.make_full.iter().any(|full| full.oid == table.oid) {
        let full = format!("ALTER TABLE ONLY {name} REPLICA IDENTITY FULL");
        answer(transaction.batch_execute(&full)).await?;
    }
    let publication = escape_identifier(&settings.publication);
    let add = format!("ALTER PUBLICATION {publication} ADD TABLE {}", listed(table, plan));
    answer(transaction.batch_execute(&add)).await?;
    Ok(true)
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
