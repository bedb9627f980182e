//! The peer: a native subscription, which was held back while the work was done.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use harness::{Cluster, Database};

use crate::master::Master;

const LIMIT: Duration = Duration::from_secs(1800);

pub(crate) struct Subscriber {
    _cluster: Cluster,
    database: Database,
}

impl Subscriber {
    /// A subscriber with the rows that exist; its subscription is off.
    pub(crate) async fn prepare(master: &Master) -> Result<Self> {
        let cluster = Cluster::builder().without_fsync().start().await?;
        let database = cluster.database().await?;
        // The tables, empty, as pgbench makes them.
        let tables = "CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
             CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
             CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
             CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))";
        database.execute(tables).await?;
        master.database.execute("CREATE PUBLICATION native FOR ALL TABLES").await?;
        let subscription = format!(
            "CREATE SUBSCRIPTION native CONNECTION '{}' PUBLICATION native",
            master.database.url()
        );
        database.execute(&subscription).await?;
        let subscriber = Self { _cluster: cluster, database };
        subscriber
            .wait("SELECT count(*) = 4 FROM pg_subscription_rel WHERE srsubstate = 'r'")
            .await?;
        subscriber.database.execute("ALTER SUBSCRIPTION native DISABLE").await?;
        Ok(subscriber)
    }

    /// Seconds from switching the subscription on until it has all.
    pub(crate) async fn drain(&self, master: &Master) -> Result<f64> {
        let position = master.position().await?;
        let begin = Instant::now();
        self.database.execute("ALTER SUBSCRIPTION native ENABLE").await?;
        let history = master.database.value("SELECT count(*) FROM pgbench_history").await?;
        let there = format!(
            "SELECT latest_end_lsn >= '{position}' AND (SELECT count(*) FROM pgbench_history) = {} \
             FROM pg_stat_subscription WHERE subname = 'native'",
            history.unwrap_or_default()
        );
        self.wait(&there).await?;
        let seconds = begin.elapsed().as_secs_f64();
        self.database.execute("ALTER SUBSCRIPTION native DISABLE").await?;
        Ok(seconds)
    }

    async fn wait(&self, condition: &str) -> Result<()> {
        let client = self.database.connect().await?;
        let begin = Instant::now();
        while begin.elapsed() < LIMIT {
            let row = client.query_opt(condition, &[]).await?;
            if row.and_then(|row| row.get::<_, Option<bool>>(0)) == Some(true) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the subscriber did not get there: {condition}")
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // The subscription's slot goes with the master's database; a subscription that still
        // stands would keep its own database from being dropped.
        let url = self.database.url().to_owned();
        let worker = std::thread::spawn(move || -> Result<()> {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
                let client = harness::connect(&url).await?;
                client.batch_execute("ALTER SUBSCRIPTION native DISABLE").await?;
                client.batch_execute("ALTER SUBSCRIPTION native SET (slot_name = NONE)").await?;
                client.batch_execute("DROP SUBSCRIPTION native").await?;
                Ok(())
            })
        });
        let _ = worker.join();
    }
}
