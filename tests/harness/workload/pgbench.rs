//! PostgreSQL's own load generator.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

use crate::{
    postgres::pg_bin_dir,
    process::{Finished, Process, ProcessBuilder},
};

/// pgbench for one database.
#[derive(Debug, Clone)]
pub struct Pgbench {
    url: String,
    program: PathBuf,
}

/// pgbench in the background.
#[derive(Debug)]
pub struct PgbenchRun {
    process: Process,
}

impl Pgbench {
    pub fn new(url: &str) -> Result<Self> {
        let program = pg_bin_dir()?.join("pgbench");
        if !program.exists() {
            bail!("no {}: run tests/install-postgres.sh", program.display());
        }
        Ok(Self { url: url.to_owned(), program })
    }

    /// Makes and fills its four tables: 100,000 accounts for each unit of `scale`.
    pub async fn init(&self, scale: u32) -> Result<()> {
        let scale = scale.to_string();
        let done = self
            .command(&["--initialize", "--quiet", "--scale", &scale])
            .run(Duration::from_secs(120))
            .await?;
        check(done).map(drop)
    }

    /// Runs `transactions` by each of `clients`, and waits; gives transactions per second.
    pub async fn run(&self, clients: u32, transactions: u32) -> Result<f64> {
        let (clients, transactions) = (clients.to_string(), transactions.to_string());
        let command =
            self.command(&["--no-vacuum", "--client", &clients, "--transactions", &transactions]);
        rate(&check(command.run(Duration::from_secs(600)).await?)?)
    }

    /// Starts a run of `seconds` in the background, with further arguments of pgbench(1).
    pub fn spawn(&self, clients: u32, seconds: u32, more: &[&str]) -> Result<PgbenchRun> {
        let (clients, seconds) = (clients.to_string(), seconds.to_string());
        let command = self.command(&["--no-vacuum", "--client", &clients, "--time", &seconds]);
        Ok(PgbenchRun { process: command.args(more).spawn()? })
    }

    /// Options may stand behind the database, so that more can follow (getopt_long(3)).
    fn command(&self, args: &[&str]) -> ProcessBuilder {
        ProcessBuilder::new("pgbench", &self.program).arg(&self.url).args(args)
    }
}

impl PgbenchRun {
    /// Waits for the end of the run; gives transactions per second.
    pub async fn wait(mut self, limit: Duration) -> Result<f64> {
        rate(&check(self.process.wait(limit).await?)?)
    }

    pub fn is_running(&mut self) -> Result<bool> {
        self.process.is_running()
    }

    /// Ends the run now.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()
    }
}

fn check(done: Finished) -> Result<Finished> {
    if done.code != 0 {
        bail!("pgbench ended with {}:\n{}{}", done.code, done.stdout, done.stderr);
    }
    Ok(done)
}

fn rate(done: &Finished) -> Result<f64> {
    let line = done.stdout.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("pgbench did not say its rate:\n{}", done.stdout))
}
