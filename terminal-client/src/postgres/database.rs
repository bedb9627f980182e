use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio_postgres::Client;
use wire::{Hash, Lsn, Relation, SchemaChange, Sequence, Snapshot, SnapshotTable, SourceName};

use super::{
    alter::{Alterations, add_labels},
    apply::{Apply, check_deferred},
    conflicts,
    connect::{Server, error_of},
    create::{run, set_sequences},
    guard, known,
    load::{
        ACTS, Load, Writer, begin, begin_reload, discard, empty, finish, has_own_rows, unfinished,
    },
    place::Place,
    position_row::PositionRow,
    quarantine,
    seen::{is_there, note},
    session::{NO_REPLICA_ROLE, open},
    verify::Verify,
};
use crate::target::{
    ConflictCount, Conflicts, HeldTransaction, KnownTable, LoadPoint, LoadRecord, Named,
    OnConflict, Operation, Reference, RowWriter, Stored, Target, TargetError,
};

/// How often the lock is tried while another run holds it.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// A PostgreSQL database as a target.
pub struct PostgresTarget {
    server: Server,
    pub(super) name: Arc<str>,
    /// The connection that has the lock and does everything but what more of them do for a load.
    pub(super) writer: Writer,
    helpers: Vec<Writer>,
    pub(super) replica_role: bool,
    row: PositionRow,
    apply: Apply,
    alterations: Alterations,
    pub(super) verify: Verify,
    /// Tables may have come that are to be guarded.
    unguarded: bool,
}

impl PostgresTarget {
    /// Connects.
    pub async fn open(server: &Server) -> Result<Self, TargetError> {
        let (session, replica_role) = open(server).await?;
        let name: Arc<str> = server.to_string().into();
        Ok(Self {
            server: server.clone(),
            writer: Writer::new(name.clone(), session),
            name,
            helpers: Vec::new(),
            replica_role,
            row: PositionRow::default(),
            apply: Apply::default(),
            alterations: Alterations::default(),
            verify: Verify::default(),
            unguarded: false,
        })
    }

    fn client(&self) -> &Client {
        &self.writer.session.client
    }

    async fn run(&self, doing: &str, sql: &str) -> Result<(), TargetError> {
        run(&self.name, self.client(), doing, sql).await
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
    type Writer = Writer;

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
        self.row.read(&self.name, &self.writer.session.client, source).await
    }

    async fn written_at(&mut self, source: &SourceName) -> Result<Option<String>, TargetError> {
        self.row.written_at(&self.name, &self.writer.session.client, source).await
    }

    async fn sources(&mut self) -> Result<Vec<SourceName>, TargetError> {
        self.row.sources(&self.name, &self.writer.session.client).await
    }

    async fn guard(
        &mut self,
        source: &SourceName,
        wanted: Option<bool>,
    ) -> Result<(), TargetError> {
        let place = Place { target: &self.name, client: self.client(), source };
        match wanted {
            Some(true) => {
                self.row.prepare(&self.name, self.client()).await?;
                guard::put_on(place).await
            }
            None => guard::keep(place).await,
            Some(false) => guard::end(place).await,
        }
    }

    async fn is_guarded(&mut self, source: &SourceName) -> Result<bool, TargetError> {
        guard::is_on(Place { target: &self.name, client: self.client(), source }).await
    }

    async fn unfinished_load(
        &mut self,
        source: &SourceName,
    ) -> Result<Option<LoadRecord>, TargetError> {
        unfinished(Place { target: &self.name, client: self.client(), source }).await
    }

    async fn discard_load(
        &mut self,
        source: &SourceName,
        _unfinished: &LoadRecord,
    ) -> Result<(), TargetError> {
        discard(Place { target: &self.name, client: self.client(), source }).await
    }

    async fn begin_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        let place = Place { target: &self.name, client: &self.writer.session.client, source };
        self.writer.load = begin(place, &mut self.row, stored, snapshot).await?;
        Ok(())
    }

    async fn begin_reload(
        &mut self,
        source: &SourceName,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        let place = Place { target: &self.name, client: self.client(), source };
        self.writer.load = begin_reload(place, snapshot, !self.replica_role).await?;
        Ok(())
    }

    async fn resume_load(
        &mut self,
        source: &SourceName,
        _unfinished: &LoadRecord,
        snapshot: &Snapshot,
    ) -> Result<Option<LoadPoint>, TargetError> {
        let place = Place { target: &self.name, client: self.client(), source };
        let Some((load, point)) = Load::resume(place, snapshot).await? else { return Ok(None) };
        self.writer.load = load;
        Ok(Some(point))
    }

    async fn widen(&mut self, connections: usize) -> Result<Option<String>, TargetError> {
        self.helpers.clear();
        if connections > 1 && self.writer.load.acts(self.replica_role) {
            return Ok(Some(ACTS.to_owned()));
        }
        while self.helpers.len() + 1 < connections {
            match open(&self.server).await {
                Ok((session, _)) => self.helpers.push(self.writer.beside(session)),
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
        Ok(None)
    }

    fn writers(&mut self) -> Vec<&mut Writer> {
        std::iter::once(&mut self.writer).chain(&mut self.helpers).collect()
    }

    fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    async fn finish_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        let load = std::mem::take(&mut self.writer.load);
        let place = Place { target: &self.name, client: &self.writer.session.client, source };
        let helpers = std::mem::take(&mut self.helpers);
        finish(load, place, helpers, &mut self.row, (stored, snapshot), self.replica_role).await
    }

    async fn begin(&mut self) -> Result<(), TargetError> {
        // Where constraints are active, what the source deferred is deferred here too.
        self.apply.begun();
        let sql = if self.replica_role { "BEGIN" } else { "BEGIN; SET CONSTRAINTS ALL DEFERRED" };
        self.run("begin a transaction", sql).await
    }

    async fn apply(&mut self, operations: Vec<Operation>) -> Result<(), TargetError> {
        self.alterations.settle()?;
        self.apply.apply(&self.name, &self.writer.session.client, operations).await
    }

    async fn note_tables(
        &mut self,
        source: &SourceName,
        tables: &[(Named, Lsn)],
    ) -> Result<(), TargetError> {
        self.unguarded = true;
        note(&self.name, self.client(), source, tables).await
    }

    async fn known_tables(
        &mut self,
        source: &SourceName,
    ) -> Result<HashMap<u32, KnownTable>, TargetError> {
        known::read(Place { target: &self.name, client: self.client(), source }).await
    }

    async fn meet(
        &mut self,
        source: &SourceName,
        known: Option<&KnownTable>,
        namesake: bool,
        relation: &Arc<Relation>,
    ) -> Result<(), TargetError> {
        let place = Place { target: &self.name, client: self.client(), source };
        known::meet(place, known, namesake, relation).await
    }

    async fn alter(
        &mut self,
        source: &SourceName,
        lsn: Lsn,
        change: &SchemaChange,
    ) -> Result<(), TargetError> {
        // What it learned about tables, and its statements, may not hold any more.
        self.apply.forget_tables();
        let place = Place { target: &self.name, client: &self.writer.session.client, source };
        self.alterations.alter(place, lsn, change, self.replica_role).await?;
        self.unguarded = true;
        known::altered(place, change).await?;
        match change.table().filter(|_| change.after.is_none()) {
            Some(of) => guard::take_off(place, Some(&Named::new(&of.schema, &of.name))).await,
            None => Ok(()),
        }
    }

    async fn prepare(&mut self, snapshot: &Snapshot) -> Result<(), TargetError> {
        add_labels(&self.name, self.client(), &snapshot.definitions).await
    }

    async fn settle(&mut self, source: &SourceName) -> Result<(), TargetError> {
        let place = Place { target: &self.name, client: &self.writer.session.client, source };
        self.alterations.finish(place).await
    }

    async fn empty(&mut self, source: &SourceName, table: &Named) -> Result<(), TargetError> {
        let place = Place { target: &self.name, client: self.client(), source };
        empty(place, table, !self.replica_role).await
    }

    async fn has_own_rows(
        &mut self,
        source: &SourceName,
        table: &Named,
    ) -> Result<bool, TargetError> {
        has_own_rows(Place { target: &self.name, client: self.client(), source }, table).await
    }

    async fn begin_rows(
        &mut self,
        _snapshot: &Snapshot,
        table: &SnapshotTable,
    ) -> Result<(), TargetError> {
        self.writer.load = Load::within();
        self.writer.begin_table(table).await
    }

    async fn roll_back(&mut self) -> Result<(), TargetError> {
        if self.apply.is_broken() {
            let (target, doing) = (self.name.to_string(), "roll back".to_owned());
            let why = "a COPY was refused, and the connection is of no more use".to_owned();
            return Err(TargetError::Statement { target, doing, why });
        }
        self.apply.forget_tables();
        self.apply.begun();
        self.alterations = Alterations::default();
        self.writer.load = Load::default();
        self.helpers.clear();
        self.verify = Verify::default();
        self.run("roll back", "ROLLBACK").await
    }

    async fn set_sequences(&mut self, sequences: &[Sequence]) -> Result<(), TargetError> {
        set_sequences(&self.name, self.client(), sequences).await
    }

    async fn attempt(
        &mut self,
        operations: Vec<Operation>,
    ) -> Result<Option<TargetError>, TargetError> {
        let (met, last) = (self.apply.met().clone(), operations.last().cloned());
        self.run("set a savepoint", "SAVEPOINT tailwater_whole").await?;
        // Another one's release would release this with it.
        self.apply.began_again(None);
        let mut applied = self.apply(operations).await;
        if let (Ok(()), false, Some(last)) = (&applied, self.replica_role, last) {
            applied = check_deferred(&self.name, self.client(), &last).await;
        }
        let sql = match &applied {
            Ok(()) => "RELEASE SAVEPOINT tailwater_whole",
            Err(error)
                if !error.is_of_a_change()
                    || self.client().is_closed()
                    || self.apply.is_broken() =>
            {
                return applied.map(|()| None);
            }
            Err(_) => "ROLLBACK TO SAVEPOINT tailwater_whole; RELEASE SAVEPOINT tailwater_whole",
        };
        self.apply.began_again((applied.is_err()).then_some(met));
        self.unguarded = true;
        self.run("leave a savepoint", sql).await?;
        Ok(applied.err())
    }

    async fn hold(
        &mut self,
        source: &SourceName,
        held: &HeldTransaction,
    ) -> Result<(), TargetError> {
        quarantine::hold(Place { target: &self.name, client: self.client(), source }, held).await
    }

    async fn held(&mut self, source: &SourceName) -> Result<Vec<HeldTransaction>, TargetError> {
        quarantine::read(Place { target: &self.name, client: self.client(), source }).await
    }

    async fn release(&mut self, source: &SourceName, lsn: Lsn) -> Result<(), TargetError> {
        quarantine::release(Place { target: &self.name, client: self.client(), source }, lsn).await
    }

    async fn has_table(&mut self, table: &Named) -> Result<bool, TargetError> {
        is_there(&self.name, self.client(), table).await
    }

    async fn references(&mut self) -> Result<Vec<Reference>, TargetError> {
        quarantine::references(&self.name, self.client()).await
    }

    async fn on_conflict(&mut self, on_conflict: OnConflict) -> Result<(), TargetError> {
        self.apply.on_conflict = on_conflict;
        Ok(())
    }

    async fn conflicts(&mut self, source: &SourceName) -> Result<Vec<ConflictCount>, TargetError> {
        conflicts::read(Place { target: &self.name, client: self.client(), source }).await
    }

    async fn commit(
        &mut self,
        source: &SourceName,
        stored: &Stored,
    ) -> Result<Conflicts, TargetError> {
        let place = Place { target: &self.name, client: &self.writer.session.client, source };
        self.alterations.finish(place).await?;
        if std::mem::take(&mut self.unguarded) {
            guard::keep(place).await?;
        }
        self.row.advance(&self.name, &self.writer.session.client, source, stored).await?;
        let met = self.apply.met().clone();
        if !met.is_empty() {
            let place = Place { target: &self.name, client: &self.writer.session.client, source };
            conflicts::add(place, &met).await?;
        }
        self.writer.load = Load::default();
        self.run("commit", "COMMIT").await?;
        Ok(met)
    }

    async fn close(self) {
        let Self { writer, helpers, row, apply, .. } = self;
        drop((row, apply, helpers));
        writer.session.close().await;
    }
}
