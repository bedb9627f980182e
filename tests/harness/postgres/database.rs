//! One database of a server.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio_postgres::{Client, SimpleQueryMessage};
use wire::Lsn;

use crate::{connect::connect, test::eventually};

/// How long a slot may stay in the hands of who left.
const LEAVE_LIMIT: Duration = Duration::from_secs(60);

/// A database with a name of its own; dropped, with its replication slots, when the value goes.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
    admin_url: String,
}

impl Database {
    pub(super) async fn create(admin_url: &str, encoding: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = connect(admin_url).await?;
        // From template0: nobody can be connected to it, so that tests do not wait for each other.
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'");
        admin.batch_execute(&create).await?;
        let server = admin_url.rsplit_once('/').map_or(admin_url, |(server, _)| server);
        Ok(Self { url: format!("{server}/{name}"), admin_url: admin_url.to_owned(), name })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection string for the superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn connect(&self) -> Result<Client> {
        connect(&self.url).await
    }

    /// Runs statements, several at once if need be, over a connection of their own.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let client = self.connect().await?;
        client.batch_execute(sql).await.with_context(|| sql.to_owned())
    }

    /// Where the write-ahead log ends now: behind every commit so far.
    pub async fn current_lsn(&self) -> Result<Lsn> {
        let lsn = self.value("SELECT pg_current_wal_insert_lsn()").await?;
        Ok(lsn.context("no position")?.parse()?)
    }

    /// The first column of the first row, as text; `None` for NULL or no row.
    pub async fn value(&self, sql: &str) -> Result<Option<String>> {
        let client = self.connect().await?;
        let answer = client.simple_query(sql).await.with_context(|| sql.to_owned())?;
        Ok(answer.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// Makes a role that may do what it likes in this database and nothing beyond; gives its URL. It goes with the
    /// database.
    pub async fn plain_url(&self) -> Result<String> {
        let (name, role) = (&self.name, plain_role(&self.name));
        let sql = format!(
            "CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {name} TO {role}; GRANT ALL ON SCHEMA public TO {role}"
        );
        self.execute(&sql).await?;
        let (_, at) = self.url.split_once('@').context("no user in the URL")?;
        Ok(format!("postgres://{role}@{at}"))
    }

    /// Drops a replication slot, once the server has seen that its reader left.
    pub async fn drop_slot(&self, slot: &str) -> Result<()> {
        let drop = format!("SELECT pg_drop_replication_slot('{slot}')");
        let dropped = async || Ok(self.value(&drop).await.is_ok());
        eventually("the slot is dropped", LEAVE_LIMIT, dropped).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (admin_url, name) = (self.admin_url.clone(), self.name.clone());
        // A thread, because a runtime cannot be blocked from inside itself.
        let worker = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(drop_database(&admin_url, &name))
        });
        // The server may be gone by now, and the database with it: no harm.
        let _ = worker.join();
    }
}

async fn drop_database(admin_url: &str, name: &str) -> Result<()> {
    let admin = connect(admin_url).await?;
    let end_walsenders = format!(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots \
         WHERE database = '{name}' AND active_pid IS NOT NULL"
    );
    let drop_slots = format!(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
         WHERE database = '{name}' AND NOT active"
    );
    let left = format!("SELECT 1 FROM pg_replication_slots WHERE database = '{name}'");
    for _ in 0..50 {
        admin.batch_execute(&format!("{end_walsenders}; {drop_slots}")).await.ok();
        if admin.query(&left, &[]).await?.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    admin.batch_execute(&format!("DROP ROLE IF EXISTS {}", plain_role(name))).await?;
    Ok(())
}

fn plain_role(database: &str) -> String {
    format!("plain_{database}")
}
