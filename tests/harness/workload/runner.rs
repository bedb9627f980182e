//! Carries out a plan.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use super::{
    plan::{Plan, Step},
    statement::{SCHEMA, TABLES},
};
use crate::{compare::Tables, connect::connect};

/// A plan and the connections that carry it out, one statement at a time.
#[derive(Debug)]
pub struct Workload {
    url: String,
    plan: Plan,
    clients: Vec<Client>,
}

impl Workload {
    /// Makes the tables. To be called once for a database.
    pub async fn prepare(url: &str) -> Result<()> {
        connect(url).await?.batch_execute(SCHEMA).await.context("cannot make the workload's tables")
    }

    /// The tables it writes.
    pub fn tables() -> Tables {
        Tables::only(&TABLES)
    }

    /// Opens `connections` connections for the plan of `seed`.
    pub async fn start(url: &str, seed: u64, connections: usize) -> Result<Self> {
        let plan = Plan::new(seed, connections);
        let mut workload = Self { url: url.to_owned(), plan, clients: Vec::new() };
        workload.connect(connections.max(1)).await?;
        Ok(workload)
    }

    /// Carries out `steps` statements; transactions may be open afterwards.
    pub async fn run(&mut self, steps: usize) -> Result<()> {
        for _ in 0..steps {
            let step = self.plan.next().context("the plan has an end")?;
            self.carry_out(&step).await?;
        }
        Ok(())
    }

    /// Commits all that is open.
    pub async fn finish(&mut self) -> Result<()> {
        for step in self.plan.finish() {
            self.carry_out(&step).await?;
        }
        Ok(())
    }

    /// Connects anew after the server went away; what was open is lost. The plan goes on.
    pub async fn reconnect(&mut self) -> Result<()> {
        let connections = self.clients.len();
        self.plan.forget_open();
        self.connect(connections).await
    }

    async fn connect(&mut self, connections: usize) -> Result<()> {
        self.clients.clear();
        for _ in 0..connections {
            self.clients.push(connect(&self.url).await?);
        }
        Ok(())
    }

    async fn carry_out(&self, step: &Step) -> Result<()> {
        let client = self.clients.get(step.connection).context("no such connection")?;
        let done = client.batch_execute(&step.sql).await;
        done.with_context(|| format!("connection {}: {:.300}", step.connection, step.sql))
    }
}
