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
        database.execute(master.tables()).await?;
        master.database.execute("CREATE PUBLICATION native FOR ALL TABLES").await?;
        let subscription = format!(
            "CREATE SUBSCRIPTION native CONNECTION '{}' PUBLICATION native",
            master.database.url()
        );
        database.execute(&subscription).await?;
        let subscriber = Self { _cluster: cluster, database };
        subscriber
            .wait("SELECT count(*) = count(*) FILTER (WHERE srsubstate = 'r') FROM pg_subscription_rel")
            .await?;
        subscriber.database.execute("ALTER SUBSCRIPTION native DISABLE").await?;
        Ok(subscriber)
    }

    /// Seconds from switching the subscription on until it has all.
    pub(crate) async fn drain(&self, master: &Master) -> Result<f64> {
        let position = master.position().await?;
        let begin = Instant::now();
        self.database.execute("ALTER SUBSCRIPTION native ENABLE").await?;
        let counted = master.counted();
        let rows = master.database.value(&format!("SELECT count(*) FROM {counted}")).await?;
        let there = format!(
            "SELECT latest_end_lsn >= '{position}' AND (SELECT count(*) FROM {counted}) = {} \
             FROM pg_stat_subscription WHERE subname = 'native'",
            rows.unwrap_or_default()
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
