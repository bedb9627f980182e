//! The master, and the work done on it while nobody reads.

use anyhow::{Context, Result};
use harness::{Cluster, Database, Lsn, Pgbench};

const CLIENTS: u32 = 8;
const SCALE: u32 = 10;
/// Changes of each transaction of [`Work::Mixed`].
const MIXED_CHANGES: u32 = 1_000;

/// The tables, and what is done to them.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// pgbench's transactions: three updates, an insert.
    Pgbench,
    /// Transactions of 1,000 changes: two thirds inserts, a fifth updates, the rest deletes, of rows of some 200 bytes.
    Mixed,
}

const PGBENCH: &str = "
    CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
    CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
    CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))";

const MIXED: &str = "
    CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, state text NOT NULL, total numeric(12, 2), note text, changed timestamptz)";

/// `n` is how many inserts each transaction has. Rows are updated and deleted all over what is there.
const MIXED_WORK: &str = "
    CREATE PROCEDURE work(transactions int) LANGUAGE plpgsql AS $$
    DECLARE n constant int := 667;
        first constant bigint := (SELECT coalesce(max(id) / 667 + 1, 0) FROM orders);
    BEGIN
        FOR i IN first .. first + transactions - 1 LOOP
            INSERT INTO orders SELECT id, id % 5000, 'open', id / 7.0, repeat(md5(id::text), 4), now()
                FROM generate_series(i * n, (i + 1) * n - 1) id;
            UPDATE orders SET state = 'paid', total = total + 1 WHERE id IN
                (SELECT id FROM (SELECT id FROM orders TABLESAMPLE SYSTEM_ROWS(2000)) o LIMIT 200);
            DELETE FROM orders WHERE id IN
                (SELECT id FROM (SELECT id FROM orders TABLESAMPLE SYSTEM_ROWS(2000)) o ORDER BY id % 97, id LIMIT 133);
            COMMIT;
        END LOOP;
    END $$";

pub(crate) struct Master {
    pub(crate) database: Database,
    work: Work,
    _cluster: Cluster,
}

impl Master {
    pub(crate) async fn start(work: Work) -> Result<Self> {
        Self::of_scale(work, SCALE).await
    }

    /// With pgbench's tables at that scale.
    pub(crate) async fn of_scale(work: Work, scale: u32) -> Result<Self> {
        let cluster = Cluster::builder().without_fsync().start().await?;
        let database = cluster.database().await?;
        let master = Self { database, work, _cluster: cluster };
        match work {
            Work::Pgbench => {
                Pgbench::new(master.database.url())?.init(scale).await?;
                // pgbench_history has no key; with FULL it could be published for updates too.
                let full = "ALTER TABLE pgbench_history REPLICA IDENTITY FULL";
                master.database.execute(full).await?;
            }
            Work::Mixed => {
                master.database.execute(MIXED).await?;
                master.database.execute("CREATE EXTENSION tsm_system_rows").await?;
                master.database.execute(MIXED_WORK).await?;
            }
        }
        Ok(master)
    }

    /// What makes the tables, empty.
    pub(crate) fn tables(&self) -> &'static str {
        match self.work {
            Work::Pgbench => PGBENCH,
            Work::Mixed => MIXED,
        }
    }

    /// The table whose rows tell whether all has come.
    pub(crate) fn counted(&self) -> &'static str {
        match self.work {
            Work::Pgbench => "pgbench_history",
            Work::Mixed => "orders",
        }
    }

    /// Makes at least so many changes and returns when they are committed.
    pub(crate) async fn work(&self, changes: u32) -> Result<()> {
        match self.work {
            Work::Pgbench => {
                let each = changes.div_ceil(4 * CLIENTS);
                Pgbench::new(self.database.url())?.run(CLIENTS, each).await.map(drop)
            }
            Work::Mixed => {
                let transactions = changes.div_ceil(MIXED_CHANGES);
                self.database.execute(&format!("CALL work({transactions})")).await
            }
        }
    }

    /// The end of what has been written.
    pub(crate) async fn position(&self) -> Result<Lsn> {
        let text = self.database.value("SELECT pg_current_wal_flush_lsn()").await?;
        Ok(text.context("no position")?.parse()?)
    }
}
