//! The whole path, as most tests want it: a master's database, a relay, a capture, terminals.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use harness::{
    Cluster, Comparison, Database, Finished, Lsn, Process, ProcessBuilder, RelayProcess, Scratch,
    Tables, capture, compare_postgres, compare_sqlite, reload, terminal, verify,
};

/// How long anything may take on a busy machine before it counts as stuck.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);
/// What the source is called.
pub(crate) const SOURCE: &str = "orders";

/// Master, relay and capture.
pub(crate) struct Setup {
    pub(crate) master: Database,
    pub(crate) relay: RelayProcess,
    pub(crate) capture: Process,
    _config: Option<Scratch>,
}

/// What differs from the ordinary.
#[derive(Default)]
pub(crate) struct Options<'a> {
    /// More arguments for capture.
    pub(crate) capture: &'a [&'a str],
    /// A configuration file for capture.
    pub(crate) config: Option<&'a str>,
}

impl Setup {
    /// On the cluster that all tests share.
    pub(crate) async fn shared(sql: &str) -> Result<Self> {
        Self::on(Cluster::shared().await?, sql, Options::default()).await
    }

    /// In a new database of `cluster`, prepared by `sql`; capture has made its first copy when
    /// this returns.
    pub(crate) async fn on(cluster: &Cluster, sql: &str, options: Options<'_>) -> Result<Self> {
        let master = cluster.database().await?;
        master.execute(sql).await?;
        let relay = RelayProcess::builder().start().await?;
        Self::with(master, relay, options).await
    }

    /// From parts that exist.
    pub(crate) async fn with(
        master: Database,
        relay: RelayProcess,
        options: Options<'_>,
    ) -> Result<Self> {
        let mut command = capture_command(&master, &relay.url())?.args(options.capture);
        let mut config = None;
        if let Some(text) = options.config {
            let folder = Scratch::new("capture-config")?;
            let file = folder.path().join("capture.toml");
            std::fs::write(&file, text)?;
            command = command.arg("--config").arg(file);
            config = Some(folder);
        }
        let capture = command.spawn()?;
        let setup = Self { master, relay, capture, _config: config };
        setup.captured().await?;
        Ok(setup)
    }

    /// From parts that run already.
    pub(crate) fn assembled(master: Database, relay: RelayProcess, capture: Process) -> Self {
        Self { master, relay, capture, _config: None }
    }

    /// Waits until the relay has all that the master has committed; the position it has then.
    pub(crate) async fn captured(&self) -> Result<Lsn> {
        let position = self.position().await?;
        self.relay.wait_head(SOURCE, position, LIMIT).await?;
        Ok(position)
    }

    /// Where the master is.
    pub(crate) async fn position(&self) -> Result<Lsn> {
        let text = self.master.value("SELECT pg_current_wal_insert_lsn()").await?;
        Ok(text.context("no position")?.parse()?)
    }

    /// What the slot has confirmed.
    pub(crate) async fn confirmed(&self) -> Result<Lsn> {
        let sql = format!(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = '{}'",
            self.master.name()
        );
        Ok(self.master.value(&sql).await?.context("no slot")?.parse()?)
    }

    /// `kill -9` and start of capture.
    pub(crate) fn kill_capture(&mut self) -> Result<()> {
        self.capture.kill()?;
        self.capture.start()
    }

    /// A new PostgreSQL terminal's database on the shared cluster.
    pub(crate) async fn postgres(&self, name: &str) -> Result<Terminal> {
        let database = Cluster::shared().await?.database().await?;
        Ok(Terminal { name: name.to_owned(), target: Target::Postgres(database), channels: None })
    }

    /// A new SQLite terminal's file.
    pub(crate) fn sqlite(&self, name: &str) -> Result<Terminal> {
        let folder = Scratch::new("sqlite")?;
        let file = folder.path().join("terminal.db");
        Ok(Terminal {
            name: name.to_owned(),
            target: Target::Sqlite { _folder: folder, file },
            channels: None,
        })
    }

    /// Pulls once with `terminal`, which must end well.
    pub(crate) async fn pull(&self, terminal: &Terminal) -> Result<Finished> {
        let done = terminal.command(&self.relay.url())?.run(LIMIT).await?;
        if done.code != 0 {
            bail!("terminal {} ended with {}: {}", terminal.name, done.code, done.stderr);
        }
        Ok(done)
    }

    /// Loads `terminal` anew, which must end well.
    pub(crate) async fn reload(&self, terminal: &Terminal) -> Result<Finished> {
        let done = terminal.reload_command(&self.relay.url())?.run(LIMIT).await?;
        if done.code != 0 {
            bail!("reload of {} ended with {}: {}", terminal.name, done.code, done.stderr);
        }
        Ok(done)
    }

    /// Brings everything to the terminals and compares all tables.
    pub(crate) async fn all_equal(&self, terminals: &[&Terminal]) -> Result<()> {
        self.captured().await?;
        for terminal in terminals {
            self.pull(terminal).await?;
            terminal.equals(&self.master, &Tables::All).await?;
        }
        Ok(())
    }
}

/// The slot of [`capture_command`]: slots count for a whole server, on which other tests may run.
pub(crate) fn slot_of(master: &Database) -> String {
    format!("tailwater_{}", master.name())
}

/// `tailwater-capture run` of a database under [`SOURCE`].
pub(crate) fn capture_command(master: &Database, relay_url: &str) -> Result<ProcessBuilder> {
    Ok(capture(master.url(), SOURCE, relay_url)?.args(["--slot", &slot_of(master)]))
}

/// A terminal: its name and its database.
pub(crate) struct Terminal {
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) channels: Option<String>,
}

/// A terminal's database.
pub(crate) enum Target {
    Postgres(Database),
    Sqlite { _folder: Scratch, file: PathBuf },
}

impl Terminal {
    /// The same with only these channels.
    pub(crate) fn channels(mut self, channels: &str) -> Self {
        self.channels = Some(channels.to_owned());
        self
    }

    /// What `--target` says.
    pub(crate) fn url(&self) -> String {
        match &self.target {
            Target::Postgres(database) => database.url().to_owned(),
            Target::Sqlite { file, .. } => format!("sqlite:{}", file.display()),
        }
    }

    /// `tailwater-terminal pull`.
    pub(crate) fn command(&self, relay_url: &str) -> Result<ProcessBuilder> {
        let command = terminal(relay_url, SOURCE, &self.url(), &self.name)?;
        Ok(match &self.channels {
            Some(channels) => command.args(["--channels", channels]),
            None => command,
        })
    }

    /// Whether it is a file.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.target, Target::Sqlite { .. })
    }

    /// `tailwater-terminal reload`.
    pub(crate) fn reload_command(&self, relay_url: &str) -> Result<ProcessBuilder> {
        let command = reload(relay_url, SOURCE, &self.url(), &self.name)?;
        Ok(match &self.channels {
            Some(channels) => command.args(["--channels", channels]),
            None => command,
        })
    }

    /// `tailwater-terminal verify`.
    pub(crate) fn verify_command(&self, relay_url: &str) -> Result<ProcessBuilder> {
        let command = verify(relay_url, SOURCE, &self.url(), &self.name)?;
        Ok(match &self.channels {
            Some(channels) => command.args(["--channels", channels]),
            None => command,
        })
    }

    /// Several statements at once.
    pub(crate) async fn execute(&self, sql: &str) -> Result<()> {
        match &self.target {
            Target::Postgres(database) => database.execute(sql).await,
            Target::Sqlite { file, .. } => {
                let client = rusqlite::Connection::open(file)?;
                client.busy_timeout(Duration::from_secs(30))?;
                client.execute_batch(sql).with_context(|| sql.to_owned())
            }
        }
    }

    /// Compares with the master.
    pub(crate) async fn compare(&self, master: &Database, tables: &Tables) -> Result<Comparison> {
        match &self.target {
            Target::Postgres(database) => {
                compare_postgres(master.url(), database.url(), tables).await
            }
            Target::Sqlite { file, .. } => compare_sqlite(master.url(), file, tables).await,
        }
    }

    /// Fails unless the tables are those of the master, row for row.
    pub(crate) async fn equals(&self, master: &Database, tables: &Tables) -> Result<()> {
        self.compare(master, tables)
            .await?
            .into_result()
            .with_context(|| format!("terminal {}", self.name))
    }

    /// Where its position row says that it stands.
    pub(crate) async fn position(&self) -> Result<Lsn> {
        let table = if self.is_sqlite() { "tailwater_position" } else { "tailwater.position" };
        let lsn = self.value(&format!("SELECT CAST(lsn AS text) FROM {table}")).await?;
        Ok(lsn.context("no position")?.parse()?)
    }

    /// One text value; from a table that may not be there yet.
    pub(crate) async fn value(&self, sql: &str) -> Result<Option<String>> {
        match &self.target {
            Target::Postgres(database) => database.value(sql).await,
            Target::Sqlite { file, .. } => {
                let client = rusqlite::Connection::open(file)?;
                client.busy_timeout(Duration::from_secs(30))?;
                let value: rusqlite::types::Value = client.query_row(sql, [], |row| row.get(0))?;
                Ok(match value {
                    rusqlite::types::Value::Null => None,
                    rusqlite::types::Value::Integer(number) => Some(number.to_string()),
                    rusqlite::types::Value::Real(number) => Some(number.to_string()),
                    rusqlite::types::Value::Text(text) => Some(text),
                    rusqlite::types::Value::Blob(bytes) => Some(format!("{bytes:?}")),
                })
            }
        }
    }
}
