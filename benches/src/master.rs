//! The master, and the work done on it while nobody reads.

use anyhow::{Context, Result};
use harness::{Cluster, Database, Lsn, Pgbench};

const CLIENTS: u32 = 8;
const SCALE: u32 = 10;

pub(crate) struct Master {
    pub(crate) database: Database,
    _cluster: Cluster,
}

impl Master {
    pub(crate) async fn start() -> Result<Self> {
        Self::of_scale(SCALE).await
    }

    /// With pgbench's tables at that scale.
    pub(crate) async fn of_scale(scale: u32) -> Result<Self> {
        let cluster = Cluster::builder().without_fsync().start().await?;
        let database = cluster.database().await?;
        let master = Self { database, _cluster: cluster };
        Pgbench::new(master.database.url())?.init(scale).await?;
        // pgbench_history has no key; with FULL it could be published for updates too.
        master.database.execute("ALTER TABLE pgbench_history REPLICA IDENTITY FULL").await?;
        Ok(master)
    }

    /// Runs at least `transactions` transactions and returns when they are committed.
    pub(crate) async fn work(&self, transactions: u32) -> Result<()> {
        let each = transactions.div_ceil(CLIENTS);
        Pgbench::new(self.database.url())?.run(CLIENTS, each).await.map(drop)
    }

    /// The end of what has been written.
    pub(crate) async fn position(&self) -> Result<Lsn> {
        let text = self.database.value("SELECT pg_current_wal_flush_lsn()").await?;
        Ok(text.context("no position")?.parse()?)
    }
}
