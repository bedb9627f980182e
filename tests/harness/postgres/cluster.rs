//! One PostgreSQL server in a temporary folder.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{database::Database, template};
use crate::{
    account::Account,
    connect::connect,
    evidence,
    scratch::Scratch,
    spawn::{DeathSignal, kill_with_children, send_signal, spawn},
};

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running PostgreSQL server; stopped and removed when dropped.
#[derive(Debug)]
pub struct Cluster {
    bin_dir: PathBuf,
    account: Account,
    folder: Scratch,
    port: u16,
    settings: BTreeMap<String, String>,
    postmaster: Option<Child>,
}

/// How to stop a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Sessions are ended, a checkpoint is written, walsenders get all they lack.
    Fast,
    /// As after a crash: recovery at the next start.
    Immediate,
}

impl Cluster {
    pub(super) fn prepare(bin_dir: PathBuf, account: Account, folder: Scratch, port: u16) -> Self {
        Self { bin_dir, account, folder, port, settings: BTreeMap::new(), postmaster: None }
    }

    /// Changes settings; they hold from the next start.
    pub fn write_settings(&mut self, changes: &BTreeMap<String, String>) -> Result<()> {
        self.settings.extend(changes.clone());
        let socket_folder = self.folder.path().display().to_string();
        let defaults = [
            ("listen_addresses", "127.0.0.1"),
            // A socket's path holds at most 107 bytes; tests use TCP anyway.
            (
                "unix_socket_directories",
                if socket_folder.len() < 80 { socket_folder.as_str() } else { "" },
            ),
            ("wal_level", "logical"),
            ("max_connections", "100"),
            ("max_wal_senders", "30"),
            ("max_replication_slots", "30"),
            ("max_prepared_transactions", "10"),
            ("shared_buffers", "64MB"),
            ("max_wal_size", "2GB"),
            ("log_checkpoints", "off"),
            ("timezone", "UTC"),
        ];
        let mut merged: BTreeMap<&str, &str> = defaults.into_iter().collect();
        merged.extend(self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let text: String = merged
            .into_iter()
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect();
        template::write(&self.data_dir().join("postgresql.conf"), &text)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A connection string for `database` as its superuser.
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", "", database)
    }

    /// A connection string for `database` as `user`; an empty password is left out.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        let colon = if password.is_empty() { "" } else { ":" };
        format!("postgres://{user}{colon}{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// A new, empty database, dropped with its replication slots when the value goes.
    pub async fn database(&self) -> Result<Database> {
        Database::create(&self.url("postgres"), "UTF8").await
    }

    /// The same, its text in another encoding.
    pub async fn database_encoded(&self, encoding: &str) -> Result<Database> {
        Database::create(&self.url("postgres"), encoding).await
    }

    /// Starts the server and waits until it answers.
    pub async fn start(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        let (_, log) = evidence::output_file(&format!("PostgreSQL on port {}", self.port))?;
        loop {
            self.launch(&log)?;
            match self.await_answer(deadline).await {
                Ok(()) => return Ok(()),
                // A crash's remains may still be held by backends that are just going away, and a
                // port may just have been taken.
                Err(error) if Instant::now() > deadline => {
                    let place = self.data_dir();
                    return Err(
                        error.context(format!("PostgreSQL in {} does not start", place.display()))
                    );
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    fn launch(&mut self, log: &File) -> Result<()> {
        let mut command = Command::new(self.bin_dir.join("postgres"));
        command
            .arg("-D")
            .arg(self.data_dir())
            .args(["-p", &self.port.to_string()])
            .current_dir("/")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        self.account.apply(&mut command);
        self.postmaster = Some(spawn(command, DeathSignal::Quit).context("cannot start postgres")?);
        Ok(())
    }

    async fn await_answer(&mut self, deadline: Instant) -> Result<()> {
        loop {
            let child = self.postmaster.as_mut().context("not started")?;
            if let Some(status) = child.try_wait()? {
                self.postmaster = None;
                bail!("the server left with {status}: its output says why");
            }
            let Err(error) = connect(&self.url("postgres")).await else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the server and waits until it is gone.
    pub async fn stop(&mut self, how: Shutdown) -> Result<()> {
        let Some(child) = self.postmaster.as_mut() else { return Ok(()) };
        send_signal(child, how.signal())?;
        let deadline = Instant::now() + STOP_LIMIT;
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("PostgreSQL does not stop ({how:?}); what holds it is in its output");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.postmaster = None;
        Ok(())
    }

    /// Stops the server and starts it again on the same port.
    pub async fn restart(&mut self, how: Shutdown) -> Result<()> {
        self.stop(how).await?;
        self.start().await
    }

    /// `kill -9` for the postmaster and all its backends: as near to a power cut as a process gets.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.postmaster.take() else { return Ok(()) };
        kill_with_children(&mut child)?;
        Ok(())
    }

    /// The process id of the postmaster, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Child::id)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(mut child) = self.postmaster.take() else { return };
        // Immediate shutdown: nobody needs this data again, and shared memory is given back.
        let _ = send_signal(&child, Shutdown::Immediate.signal());
        for _ in 0..200 {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = kill_with_children(&mut child);
    }
}

impl Shutdown {
    fn signal(self) -> libc::c_int {
        match self {
            Self::Fast => libc::SIGINT,
            Self::Immediate => libc::SIGQUIT,
        }
    }
}
