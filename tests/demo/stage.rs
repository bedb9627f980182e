//! The servers and processes of the demo.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use harness::{Cluster, Database, Pgbench, Process, RelayProcess, Scratch, capture, terminal};

use crate::{
    figures::grouped,
    screen::{Look, Screen},
};

/// The captured database's name at the relay.
pub(crate) const SOURCE: &str = "demo";
/// The terminals' names at the relay.
pub(crate) const POSTGRES: &str = "store-042";
pub(crate) const SQLITE: &str = "till-7";

/// 100,000 accounts for each.
const SCALE: u32 = 1;

/// All that runs. Fields go in this order: processes before the servers they talk to.
pub(crate) struct Stage {
    pub(crate) postgres_terminal: Process,
    pub(crate) sqlite_terminal: Process,
    pub(crate) capture: Process,
    pub(crate) relay: RelayProcess,
    pub(crate) pgbench: Pgbench,
    pub(crate) master: Database,
    pub(crate) terminal: Database,
    pub(crate) sqlite_file: PathBuf,
    _servers: [Cluster; 2],
    _folder: Scratch,
}

impl Stage {
    /// Starts everything; the first copy may still be under way afterwards.
    pub(crate) async fn set(screen: &mut Screen) -> Result<Self> {
        let server = Cluster::new().await.context("the master does not start")?;
        let master = server.database().await?;
        let version = master.value("SHOW server_version").await?.unwrap_or_default();
        let pgbench = Pgbench::new(master.url())?;
        pgbench.init(SCALE).await?;
        let accounts = grouped(u64::from(SCALE) * 100_000);
        done(
            screen,
            "master",
            &format!("PostgreSQL {version} with pgbench's tables, {accounts} accounts"),
        );

        let relay = RelayProcess::builder().start().await.context("the relay does not start")?;
        done(screen, "relay", &format!("tailwater-relay serve, at {}", relay.url()));
        // pgbench_history has no key: it gets REPLICA IDENTITY FULL.
        let capture =
            capture(master.url(), SOURCE, &relay.url())?.args(["--keyless", "full"]).spawn()?;
        done(screen, "capture", "tailwater-capture run, the only one that talks to the master");

        let far_server = Cluster::new().await.context("the terminal's server does not start")?;
        let terminal_database = far_server.database().await?;
        let folder = Scratch::new("demo")?;
        let sqlite_file = folder.path().join("till-7.db");
        let follow = |target: &str, name: &str| {
            terminal(&relay.url(), SOURCE, target, name)?.arg("--follow").spawn()
        };
        let postgres_terminal = follow(terminal_database.url(), POSTGRES)?;
        done(screen, POSTGRES, "tailwater-terminal pull --follow, to an empty PostgreSQL");
        let sqlite_terminal = follow(&format!("sqlite:{}", sqlite_file.display()), SQLITE)?;
        done(screen, SQLITE, "tailwater-terminal pull --follow, to an empty SQLite file");
        Ok(Self {
            postgres_terminal,
            sqlite_terminal,
            capture,
            relay,
            pgbench,
            master,
            terminal: terminal_database,
            sqlite_file,
            _servers: [server, far_server],
            _folder: folder,
        })
    }

    /// An error when something ended that should run.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        let processes = [
            ("the relay", &mut *self.relay),
            ("the capture", &mut self.capture),
            (POSTGRES, &mut self.postgres_terminal),
            (SQLITE, &mut self.sqlite_terminal),
        ];
        for (name, process) in processes {
            // One that was killed on purpose has no id.
            if process.pid().is_some() && !process.is_running()? {
                bail!("{name} ended by itself");
            }
        }
        Ok(())
    }

    /// Asks the processes to end, readers first; what does not is killed with the stage.
    pub(crate) async fn end(mut self) {
        for process in [
            &mut self.postgres_terminal,
            &mut self.sqlite_terminal,
            &mut self.capture,
            &mut *self.relay,
        ] {
            if process.pid().is_some()
                && let Err(error) = process.stop().await
            {
                eprintln!("{error:#}");
            }
        }
    }

    /// Stays up until Ctrl-C.
    pub(crate) async fn stay(&self, screen: &mut Screen) -> Result<()> {
        screen.title("It stays up until Ctrl-C");
        for (what, value) in [
            ("relay", self.relay.url()),
            ("lag", format!("{}/v1/{SOURCE}/lag", self.relay.url())),
            ("master", self.master.url().to_owned()),
            (POSTGRES, self.terminal.url().to_owned()),
            (SQLITE, self.sqlite_file.display().to_string()),
        ] {
            screen.say(&format!("  {what:<10} {value}"));
        }
        std::future::pending().await
    }
}

fn done(screen: &mut Screen, what: &str, how: &str) {
    let what = screen.paint(Look::Bold, &format!("{what:<10}"));
    screen.say(&format!("  {what} {how}"));
}
