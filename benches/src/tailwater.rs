//! Our path: capture, relay, a PostgreSQL terminal.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use harness::{
    Cluster, Database, Process, RelayProcess, Tables, capture, compare_postgres, terminal,
};

use crate::master::Master;

const LIMIT: Duration = Duration::from_secs(1800);

pub(crate) struct Path {
    name: String,
    relay: RelayProcess,
    _cluster: Cluster,
    database: Database,
}

impl Path {
    /// A relay and a terminal with the rows that exist; capture and terminal are stopped.
    pub(crate) async fn prepare(master: &Master, name: &str) -> Result<Self> {
        let path = Self::empty(name).await?;
        path.capture(master).await?;
        path.pull().await?;
        Ok(path)
    }

    /// A relay and a terminal that have nothing yet.
    pub(crate) async fn empty(name: &str) -> Result<Self> {
        let cluster = Cluster::builder().without_fsync().start().await?;
        let database = cluster.database().await?;
        let relay = RelayProcess::builder().start().await?;
        Ok(Self { name: name.to_owned(), relay, _cluster: cluster, database })
    }

    fn start_capture(&self, master: &Master) -> Result<Process> {
        capture(master.database.url(), &self.name, &self.relay.url())?
            .args(["--keyless", "full"])
            .spawn()
    }

    /// Seconds from starting capture until the relay has all on disk.
    pub(crate) async fn capture(&self, master: &Master) -> Result<f64> {
        let position = master.position().await?;
        let begin = Instant::now();
        let mut capture = self.start_capture(master)?;
        self.relay.wait_head(&self.name, position, LIMIT).await?;
        let seconds = begin.elapsed().as_secs_f64();
        capture.stop().await?;
        Ok(seconds)
    }

    /// Seconds for `pull --once` of all that the relay has.
    pub(crate) async fn pull(&self) -> Result<f64> {
        let begin = Instant::now();
        let run = terminal(&self.relay.url(), &self.name, self.database.url(), "bench")?
            .arg("--once")
            .run(LIMIT)
            .await?;
        if run.code != 0 {
            bail!("the terminal ended with {}: {}", run.code, run.stderr);
        }
        Ok(begin.elapsed().as_secs_f64())
    }

    /// Seconds from starting capture and terminal until the terminal has applied all.
    pub(crate) async fn together(&self, master: &Master) -> Result<f64> {
        let position = master.position().await?;
        let begin = Instant::now();
        let mut capture = self.start_capture(master)?;
        let mut follower = terminal(&self.relay.url(), &self.name, self.database.url(), "bench")?
            .arg("--follow")
            .spawn()?;
        self.relay.wait_applied(&self.name, "bench", position, LIMIT).await?;
        let seconds = begin.elapsed().as_secs_f64();
        capture.stop().await?;
        follower.stop().await?;
        Ok(seconds)
    }

    /// Fails unless the terminal equals the master: a fast wrong answer is none.
    pub(crate) async fn check(&self, master: &Master) -> Result<()> {
        compare_postgres(master.database.url(), self.database.url(), &Tables::All)
            .await?
            .into_result()
    }
}
