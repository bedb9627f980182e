//! What a test may want of its server.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Result;
use tokio::sync::OnceCell;

use super::{cluster::Cluster, programs::pg_bin_dir, template};
use crate::{account::Account, port::free_port, scratch::Scratch};

/// Settings of a server to be started. Without any: logical decoding on, `fsync` on, everybody on
/// loopback trusted.
#[derive(Debug, Default, Clone)]
pub struct ClusterBuilder {
    settings: BTreeMap<String, String>,
    hba_lines: Vec<String>,
    bin_dir: Option<PathBuf>,
    own_identity: bool,
}

impl ClusterBuilder {
    /// A line of `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    /// Nothing is forced to disk. For tests that never crash this server: much quicker.
    #[must_use]
    pub fn without_fsync(self) -> Self {
        self.setting("fsync", "off").setting("synchronous_commit", "off")
    }

    /// A line of `pg_hba.conf`, tried before the ones that trust everybody.
    #[must_use]
    pub fn hba(mut self, line: &str) -> Self {
        self.hba_lines.push(line.to_owned());
        self
    }

    /// Another PostgreSQL than [`pg_bin_dir`]'s.
    #[must_use]
    pub fn bin_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.bin_dir = Some(folder.into());
        self
    }

    /// A system identifier of its own; otherwise all servers of a run are copies of one.
    #[must_use]
    pub fn with_own_identity(mut self) -> Self {
        self.own_identity = true;
        self
    }

    /// Makes the data folder and starts the server; it answers when this returns.
    pub async fn start(self) -> Result<Cluster> {
        let account = Account::for_postgres()?;
        let bin_dir = self.bin_dir.clone().map_or_else(pg_bin_dir, Ok)?;
        let folder = Scratch::of(account, "postgres")?;
        let data = folder.path().join("data");
        if self.own_identity {
            template::initdb(&bin_dir, account, &data)?;
        } else {
            template::copy(&bin_dir, account, &data)?;
        }
        template::write(&data.join("pg_hba.conf"), &self.hba_conf())?;
        let mut cluster = Cluster::prepare(bin_dir, account, folder, free_port()?);
        cluster.write_settings(&self.settings)?;
        cluster.start().await?;
        Ok(cluster)
    }

    fn hba_conf(&self) -> String {
        let trusted = [
            "local all,replication all trust",
            "host all,replication all 127.0.0.1/32 trust",
            "host all,replication all ::1/128 trust",
        ];
        let lines = self.hba_lines.iter().map(String::as_str).chain(trusted);
        lines.map(|line| format!("{line}\n")).collect()
    }
}

impl Cluster {
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// A server of this test's own, with the settings of [`ClusterBuilder`]'s default.
    pub async fn new() -> Result<Self> {
        Self::builder().start().await
    }

    /// The server that all tests of this run share, for those that only need a database of their
    /// own: logical decoding on, `fsync` off, never stopped. Replication slots count for all
    /// databases together; dropping a [`Database`](super::Database) drops its slots.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::builder().without_fsync().start()).await
    }
}
