//! Tables that join a publication of ours that is in use.

use postgres_protocol::escape::escape_identifier;
use tokio_postgres::Transaction;
use wire::{ControlRecord, JoinedTable, Lsn};

use super::{
    error::BeginError,
    plan::PublicationPlan,
    publication::{comment, listed},
    published::published,
    tables::{TableFacts, quoted},
};
use crate::{
    settings::Settings,
    source::{Refusal, SqlError, SqlSession, answer, emit},
};

/// How terminals are told that a table joins, in the transaction in which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// By the functions that record schema changes.
    BySchemaChanges,
    /// By a control record.
    ByMessages,
    /// Not at all: the server passes no messages on.
    Not,
}

/// What was done to the publication, for the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Tables that joined empty, as `schema.table`.
    pub joined: Vec<String>,
    /// Tables that joined with rows in them.
    pub filled: Vec<String>,
    /// Tables that match and stay out, and why.
    pub waiting: Vec<(String, String)>,
}

/// How a table came in.
enum Joined {
    Empty,
    Filled,
    Not { why: String },
}

impl Joined {
    /// What one table does not allow keeps only that one out.
    fn refused(error: SqlError) -> Result<Self, SqlError> {
        let why = match error.refusal() {
            Some(Refusal::Locked) => format!(
                "it was locked, or written to, for longer than capture waits, so that nobody waits for capture \
                 ({error}). Start capture again when that transaction has ended"
            ),
            Some(Refusal::NoRights) => format!(
                "the role lacks a right that this takes ({error}). Let it own the table, then start capture again"
            ),
            _ => return Err(error),
        };
        Ok(Self::Not { why })
    }

    fn untold(why: &str) -> Self {
        let why = format!(
            "it has rows from before it was published, and the terminals that are there cannot be told to take them from a \
             snapshot: {why}. Or capture under a new source name to have it"
        );
        Self::Not { why }
    }
}

/// How long a table's lock is waited for: while capture waits, so do those that write to the table. Shorter than
/// `deadlock_timeout`, so that it is never an application's statement that is ended for it.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '500ms'";

/// In the comment of the publication, before the position where the newest table joined with rows.
const NEEDED: &str = "; a snapshot is needed from ";

/// Lets tables that match and are not in yet join. What rows they have is told, for it is not in the stream.
pub async fn extend(
    sql: &mut SqlSession,
    settings: &Settings,
    plan: &PublicationPlan,
    telling: Telling,
) -> Result<Prepared, BeginError> {
    let failed = |source| BeginError::publication(settings, source);
    let carried = published(&**sql, &settings.publication).await?;
    let listed = listed_oids(&**sql, &settings.publication).await.map_err(failed)?;
    let mut prepared = Prepared::default();
    for table in &plan.publish {
        let known = listed.contains(&table.oid) || carried.iter().any(|t| t.oid == table.oid);
        if known {
            continue;
        }
        let transaction = answer(sql.client_mut().transaction()).await.map_err(failed)?;
        let joining = Joining { transaction: &transaction, settings, table, plan };
        let joined = joining.join(telling).await.or_else(Joined::refused).map_err(failed)?;
        let name = format!("{}.{}", table.schema, table.name);
        match joined {
            Joined::Empty => prepared.joined.push(name),
            Joined::Filled => prepared.filled.push(name),
            Joined::Not { why } => {
                prepared.waiting.push((name, why));
                answer(transaction.rollback()).await.map_err(failed)?;
                continue;
            }
        }
        answer(transaction.commit()).await.map_err(failed)?;
    }
    Ok(prepared)
}

async fn listed_oids(
    client: &impl tokio_postgres::GenericClient,
    publication: &str,
) -> Result<Vec<u32>, SqlError> {
    let query = "
        SELECT r.prrelid FROM pg_catalog.pg_publication_rel r
        JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE p.pubname = $1";
    Ok(answer(client.query(query, &[&publication])).await?.iter().map(|row| row.get(0)).collect())
}

struct Joining<'a> {
    transaction: &'a Transaction<'a>,
    settings: &'a Settings,
    table: &'a TableFacts,
    plan: &'a PublicationPlan,
}

impl Joining<'_> {
    /// Adds the table under a lock that keeps others from writing to it until the commit: what they wrote
    /// before is in each snapshot from there on, what they write afterwards in the stream.
    async fn join(&self, telling: Telling) -> Result<Joined, SqlError> {
        let Self { transaction, settings, table, plan } = *self;
        if table.filtered {
            let why = "row level security hides rows of it from the role: ALTER ROLE … BYPASSRLS, then start capture again";
            return Ok(Joined::Not { why: why.to_owned() });
        }
        let name = quoted(&table.schema, &table.name);
        answer(transaction.batch_execute(LOCK_TIMEOUT)).await?;
        let lock = format!("LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE");
        answer(transaction.batch_execute(&lock)).await?;
        let only = if table.partitioned { "" } else { "ONLY " };
        let filled = format!("SELECT EXISTS (SELECT FROM {only}{name})");
        let filled: bool = answer(transaction.query_one(&filled, &[])).await?.get(0);
        if filled && telling == Telling::Not {
            return Ok(Joined::untold("that takes PostgreSQL 14 or later"));
        }
        if plan.make_full.iter().any(|full| full.oid == table.oid) {
            let full = format!("ALTER TABLE ONLY {name} REPLICA IDENTITY FULL");
            answer(transaction.batch_execute(&full)).await?;
        }
        // Where schema changes are recorded, that statement may have let it join.
        if !listed_oids(transaction, &settings.publication).await?.contains(&table.oid) {
            let publication = escape_identifier(&settings.publication);
            let add = format!("ALTER PUBLICATION {publication} ADD TABLE {}", listed(table, plan));
            answer(transaction.batch_execute(&add)).await?;
        }
        if !filled {
            return Ok(Joined::Empty);
        }
        match self.tell(telling).await {
            Err(error) if error.refusal() == Some(&Refusal::NoRights) => {
                Ok(Joined::untold(&error.to_string()))
            }
            told => told.map(|()| Joined::Filled),
        }
    }

    /// Tells that its rows are to be taken from a snapshot.
    async fn tell(&self, telling: Telling) -> Result<(), SqlError> {
        let Self { transaction, settings, table, .. } = *self;
        let tree = answer(transaction.query(TREE, &[&table.oid])).await?;
        if telling == Telling::BySchemaChanges {
            let oids: Vec<u32> = tree.iter().map(|row| row.get(0)).collect();
            let tell = "SELECT tailwater.ddl_tell($1, 'start of tailwater-capture')";
            return answer(transaction.execute(tell, &[&oids])).await.map(drop);
        }
        for row in tree.iter().filter(|row| row.get(3)) {
            let table = JoinedTable { oid: row.get(0), schema: row.get(1), name: row.get(2) };
            emit(transaction, &ControlRecord::Joined { table }).await?;
        }
        // For the next start, where the stream does not say it again.
        let now = "SELECT pg_catalog.pg_current_wal_insert_lsn()::text";
        let now: String = answer(transaction.query_one(now, &[])).await?.get(0);
        answer(transaction.batch_execute(&comment(settings, &format!("{NEEDED}{now}")))).await
    }
}

/// The table and what is below it: OID, names, whether it holds rows itself.
const TREE: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'r'
FROM (SELECT $1::oid AS oid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree($1::oid::pg_catalog.regclass) p) of
JOIN pg_catalog.pg_class c ON c.oid = of.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY c.oid";

/// Where a table joined with rows last, as far as capture's starts know; zero where none did.
pub async fn newest_join(sql: &SqlSession, publication: &str) -> Result<Lsn, SqlError> {
    let query = "
        SELECT pg_catalog.obj_description(oid, 'pg_publication') FROM pg_catalog.pg_publication WHERE pubname = $1";
    let row = answer(sql.query_opt(query, &[&publication])).await?;
    let comment: Option<String> = row.and_then(|row| row.get(0));
    Ok(comment.as_deref().and_then(needed_from).unwrap_or(Lsn::ZERO))
}

fn needed_from(comment: &str) -> Option<Lsn> {
    comment.rsplit_once(NEEDED)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_tells_from_where_on_a_snapshot_is_needed() {
        let of =
            |more: &str| needed_from(&format!("made by tailwater-capture for the source x{more}"));
        assert_eq!(of(&format!("{NEEDED}16/B374D848")), "16/B374D848".parse().ok());
        assert_eq!(of(""), None);
        assert_eq!(of(&format!("{NEEDED}?")), None);
    }
}
