use std::{collections::HashSet, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Client, CopyInSink};
use wire::{Hash, Sequence, Snapshot, SnapshotTable, SourceName, TableDefinition};

use super::{
    apply::RowApply,
    connect::{Server, Session, error_of},
    create::{
        bind_sequences, ensure_defined, ensure_sequences, ensure_types, finish_tables, run,
        set_sequences,
    },
    position_row::PositionRow,
    quote::{idents, qualified},
    session::{NO_REPLICA_ROLE, open},
};
use crate::target::{Operation, Stored, Target, TargetError};

/// How often the lock is tried while another run holds it.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// A PostgreSQL database as a target.
pub struct PostgresTarget {
    name: String,
    session: Session,
    replica_role: bool,
    row: PositionRow,
    apply: RowApply,
    load: Load,
}

/// The first load, while it is under way.
#[derive(Default)]
struct Load {
    made: HashSet<u32>,
    copy: Option<(String, Pin<Box<CopyInSink<Bytes>>>)>,
}

impl PostgresTarget {
    /// Connects.
    pub async fn open(server: &Server) -> Result<Self, TargetError> {
        let (session, replica_role) = open(server).await?;
        Ok(Self {
            name: server.to_string(),
            session,
            replica_role,
            row: PositionRow::default(),
            apply: RowApply::default(),
            load: Load::default(),
        })
    }

    fn client(&self) -> &Client {
        &self.session.client
    }

    async fn run(&self, doing: &str, sql: &str) -> Result<(), TargetError> {
        run(&self.name, self.client(), doing, sql).await
    }

    fn copy_failed(&self, table: &str, error: &tokio_postgres::Error) -> TargetError {
        error_of(&self.name, &format!("load the rows of {table}"), error)
    }
}

/// One lock per source in the target's database.
fn lock_key(source: &SourceName) -> i64 {
    let hash = Hash::of(format!("tailwater-terminal {source}").as_bytes());
    let mut key = [0; 8];
    key.copy_from_slice(hash.as_bytes().get(..8).unwrap_or_default());
    i64::from_be_bytes(key)
}

impl Target for PostgresTarget {
    fn name(&self) -> &str {
        &self.name
    }

    fn notes(&self) -> Vec<String> {
        if self.replica_role { Vec::new() } else { vec![NO_REPLICA_ROLE.to_owned()] }
    }

    async fn lock(&mut self, source: &SourceName, wait: Duration) -> Result<bool, TargetError> {
        let until = tokio::time::Instant::now() + wait;
        let key = lock_key(source);
        loop {
            let row = self.client().query_one("SELECT pg_try_advisory_lock($1)", &[&key]).await;
            let taken: bool = row
                .and_then(|row| row.try_get(0))
                .map_err(|error| error_of(&self.name, "take the lock", &error))?;
            if taken {
                return Ok(true);
            }
            if tokio::time::Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    async fn stored(&mut self, source: &SourceName) -> Result<Option<Stored>, TargetError> {
        self.row.read(&self.name, &self.session.client, source).await
    }

    async fn sources(&mut self) -> Result<Vec<SourceName>, TargetError> {
        self.row.sources(&self.name, &self.session.client).await
    }

    async fn begin_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        self.row.prepare(&self.name, &self.session.client).await?;
        self.row.write(&self.name, &self.session.client, source, stored).await?;
        self.run("begin a transaction", "BEGIN").await?;
        ensure_types(&self.name, self.client(), &snapshot.definitions).await?;
        ensure_sequences(&self.name, self.client(), &snapshot.definitions.sequences).await?;
        self.load = Load::default();
        for table in &snapshot.definitions.tables {
            let made =
                ensure_defined(&self.name, self.client(), table, &snapshot.definitions).await?;
            if made {
                self.load.made.insert(table.oid);
            }
        }
        Ok(())
    }

    async fn begin_table(&mut self, table: &SnapshotTable) -> Result<(), TargetError> {
        let name = qualified(&table.schema, &table.name);
        let columns = match table.columns.is_empty() {
            true => String::new(),
            false => format!(" ({})", idents(table.columns.iter().map(String::as_str))),
        };
        let sql = format!("COPY {name}{columns} FROM STDIN");
        let sink = self.client().copy_in(&sql).await;
        let sink = sink.map_err(|error| self.copy_failed(&name, &error))?;
        self.load.copy = Some((name, Box::pin(sink)));
        Ok(())
    }

    async fn load_rows(&mut self, rows: Bytes) -> Result<(), TargetError> {
        let Some((table, sink)) = &mut self.load.copy else { return Ok(()) };
        match sink.send(rows).await {
            Ok(()) => Ok(()),
            // The server's reason comes with the end of the copy.
            Err(error) => {
                let (error, table) = match sink.as_mut().finish().await {
                    Err(reason) if reason.as_db_error().is_some() => (reason, table.clone()),
                    _ => (error, table.clone()),
                };
                Err(self.copy_failed(&table, &error))
            }
        }
    }

    async fn end_table(&mut self) -> Result<u64, TargetError> {
        let Some((table, mut sink)) = self.load.copy.take() else { return Ok(0) };
        let rows = sink.as_mut().finish().await;
        rows.map_err(|error| self.copy_failed(&table, &error))
    }

    async fn finish_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        let definitions = &snapshot.definitions;
        let made: Vec<&TableDefinition> =
            definitions.tables.iter().filter(|table| self.load.made.contains(&table.oid)).collect();
        finish_tables(&self.name, self.client(), &made, definitions, self.replica_role).await?;
        bind_sequences(&self.name, self.client(), &definitions.sequences).await?;
        set_sequences(&self.name, self.client(), &definitions.sequences).await?;
        self.row.write(&self.name, &self.session.client, source, stored).await?;
        self.run("commit the load", "COMMIT").await?;
        self.load = Load::default();
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), TargetError> {
        // Where constraints are active, what the source deferred is deferred here too.
        let sql = if self.replica_role { "BEGIN" } else { "BEGIN; SET CONSTRAINTS ALL DEFERRED" };
        self.run("begin a transaction", sql).await
    }

    async fn apply(&mut self, operations: Vec<Operation>) -> Result<(), TargetError> {
        self.apply.apply(&self.name, &self.session.client, operations).await
    }

    async fn set_sequences(&mut self, sequences: &[Sequence]) -> Result<(), TargetError> {
        set_sequences(&self.name, self.client(), sequences).await
    }

    async fn commit(&mut self, source: &SourceName, stored: &Stored) -> Result<(), TargetError> {
        self.row.advance(&self.name, &self.session.client, source, stored).await?;
        self.run("commit", "COMMIT").await
    }

    async fn close(self) {
        let Self { session, row, apply, .. } = self;
        drop((row, apply));
        session.close().await;
    }
}
