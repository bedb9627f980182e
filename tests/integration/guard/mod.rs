//! `pull --guard`: nobody else writes to the tables, whatever becomes of them, and pulls go on.

mod later;
mod refused;
mod speed;

use anyhow::{Context, Result};
use harness::{Finished, Tables};

use crate::setup::{LIMIT, SOURCE, Setup, Target, Terminal};

/// A terminal, and the role that its pulls come as where that is not the usual one.
struct Guarded {
    terminal: Terminal,
    role: Option<String>,
}

impl Guarded {
    /// PostgreSQL as a superuser, PostgreSQL as a role that may not set `session_replication_role`, SQLite.
    async fn three(setup: &Setup) -> Result<[Self; 3]> {
        let plain = setup.postgres("plain").await?;
        let Target::Postgres(target) = &plain.target else { unreachable!() };
        let (name, role) = (target.name(), format!("plain_{}", target.name()));
        target
            .execute(&format!(
                "CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {name} TO {role}; GRANT ALL ON SCHEMA public TO {role}"
            ))
            .await?;
        Ok([
            Self { terminal: setup.postgres("store").await?, role: None },
            Self { terminal: plain, role: Some(role) },
            Self { terminal: setup.sqlite("till")?, role: None },
        ])
    }

    fn url(&self) -> Result<String> {
        let url = self.terminal.url();
        let Some(role) = &self.role else { return Ok(url) };
        let (_, at) = url.split_once('@').context("no user in the URL")?;
        Ok(format!("postgres://{role}@{at}"))
    }

    /// Pulls once, which must end well.
    async fn pull(&self, setup: &Setup, args: &[&str]) -> Result<Finished> {
        let command =
            harness::terminal(&setup.relay.url(), SOURCE, &self.url()?, &self.terminal.name)?;
        let done = command.args(args).env("RUST_LOG", "terminal_client=debug").run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}: {}", self.terminal.name, done.stderr);
        Ok(done)
    }

    async fn reload(&self, setup: &Setup) -> Result<()> {
        let command =
            harness::reload(&setup.relay.url(), SOURCE, &self.url()?, &self.terminal.name)?;
        let done = command.run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}: {}", self.terminal.name, done.stderr);
        Ok(())
    }

    /// Pulls and compares all tables.
    async fn equals(&self, setup: &Setup) -> Result<()> {
        setup.captured().await?;
        self.pull(setup, &[]).await?;
        self.terminal.equals(&setup.master, &Tables::All).await
    }

    /// Each of the statements is refused, with the words of the guard.
    async fn refuses(&self, statements: &[&str]) {
        for sql in statements {
            let Err(error) = self.terminal.execute(sql).await else {
                panic!("{} took {sql}", self.terminal.name)
            };
            let said = format!("{error:?}");
            let words = "is written by tailwater from source orders";
            assert!(said.contains(words) && said.contains("--guard=false"), "{sql}: {said}");
        }
    }

    async fn end(self) -> Result<()> {
        let Some(role) = &self.role else { return Ok(()) };
        let sql = format!(
            "REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}"
        );
        self.terminal.execute(&sql).await
    }
}
