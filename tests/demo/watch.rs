//! Looks at master, relay and terminals.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Lag, Lsn, TerminalLag, connect};
use rusqlite::{Connection, OpenFlags};
use tokio_postgres::Client;

use crate::stage::{POSTGRES, SOURCE, SQLITE, Stage};

/// pgbench's transaction: three updates and one insert, the latter into the table we count.
pub(crate) const CHANGES_PER_TRANSACTION: u64 = 4;

const COUNT: &str = "SELECT count(*) FROM pgbench_history";

/// Connections that stay open between looks.
pub(crate) struct Watch {
    master: Client,
    terminal: Client,
    last_lag: Option<Lag>,
}

/// One look.
pub(crate) struct Sample {
    pub(crate) master_lsn: Lsn,
    /// Changes made at the master.
    pub(crate) changes: u64,
    /// `None`: the relay does not answer.
    pub(crate) lag: Option<Lag>,
    pub(crate) terminals: [TerminalSample; 2],
}

/// One terminal. Its position is what the relay knows of it, or knew when it last answered.
pub(crate) struct TerminalSample {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    /// Changes that its database holds; `None`: the table is not there yet.
    pub(crate) changes: Option<u64>,
    pub(crate) lag: Option<TerminalLag>,
}

impl Watch {
    pub(crate) async fn new(stage: &Stage) -> Result<Self> {
        let (master, terminal) =
            (connect(stage.master.url()).await?, connect(stage.terminal.url()).await?);
        Ok(Self { master, terminal, last_lag: None })
    }

    pub(crate) async fn sample(&mut self, stage: &Stage) -> Result<Sample> {
        let lag = tokio::time::timeout(Duration::from_secs(1), stage.relay.lag(SOURCE)).await;
        let lag = lag.ok().and_then(Result::ok);
        if lag.is_some() {
            self.last_lag.clone_from(&lag);
        }
        let master =
            "SELECT pg_current_wal_insert_lsn()::text, (SELECT count(*) FROM pgbench_history)";
        let row = self.master.query_one(master, &[]).await.context("the master does not answer")?;
        let changes = changes(row.try_get(1)?);
        let terminal = |name, kind, changes| TerminalSample {
            lag: self.last_lag.as_ref().and_then(|lag| lag.terminal(name)).cloned(),
            name,
            kind,
            changes,
        };
        let postgres = self.terminal.query_one(COUNT, &[]).await;
        let postgres = postgres.ok().and_then(|row| Some(self::changes(row.try_get(0).ok()?)));
        let terminals = [
            terminal(POSTGRES, "PostgreSQL", postgres),
            terminal(SQLITE, "SQLite", count_in_sqlite(stage)),
        ];
        let master_lsn = row.try_get::<_, String>(0)?.parse()?;
        Ok(Sample { master_lsn, changes, lag, terminals })
    }
}

impl Sample {
    /// How far the slower terminal is, as far as the relay knows.
    pub(crate) fn slowest_applied(&self) -> Option<Lsn> {
        self.terminals.iter().map(TerminalSample::applied).min().flatten()
    }

    /// Whether the terminal's first load is done.
    pub(crate) fn has_loaded(&self, name: &str) -> bool {
        let terminal = self.terminals.iter().find(|terminal| terminal.name == name);
        terminal.is_some_and(|terminal| terminal.changes.is_some())
    }
}

impl TerminalSample {
    /// Changes that the master has and this terminal has not.
    pub(crate) fn missing(&self, sample: &Sample) -> u64 {
        sample.changes.saturating_sub(self.changes.unwrap_or(0))
    }

    pub(crate) fn applied(&self) -> Option<Lsn> {
        self.lag.as_ref().and_then(|lag| lag.applied)
    }
}

fn changes(transactions: i64) -> u64 {
    u64::try_from(transactions).unwrap_or(0) * CHANGES_PER_TRANSACTION
}

/// A connection for each look: one that stays might keep the terminal's file from being tidied.
fn count_in_sqlite(stage: &Stage) -> Option<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let file = Connection::open_with_flags(&stage.sqlite_file, flags).ok()?;
    file.busy_timeout(Duration::from_millis(200)).ok()?;
    file.query_row(COUNT, [], |row| row.get(0)).ok().map(changes)
}
