use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use wire::{Lsn, Relation, SchemaChange, Snapshot, SnapshotTable, SourceName};

use super::{
    alter::alter,
    apply::Apply,
    conflicts,
    database::Database,
    guard, known,
    load::{
        Ending, LoadTable, TableRows, advance, discard, empty, finish, forsake, has_own_rows, made,
        prepare_tables, tables_of, unfinished, write,
    },
    position_row::PositionRow,
    quarantine,
    schema::{Shape, table_name},
    seen::{forget_all, note},
    verify::Verify,
};
use crate::target::{
    ConflictCount, Conflicts, HeldTransaction, KnownTable, LoadPlan, LoadPoint, LoadRecord, Named,
    OnConflict, Operation, Stored, TargetError,
};

/// What the thread of the file does, call by call.
pub(super) struct Session {
    pub(super) database: Database,
    position: PositionRow,
    plan: LoadPlan,
    load: Vec<LoadTable>,
    pub(super) rows: Option<TableRows>,
    apply: Apply,
    pub(super) verify: Verify,
    /// Tables may have come that are to be guarded.
    unguarded: bool,
}

impl Session {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            position: PositionRow::default(),
            plan: LoadPlan::default(),
            load: Vec::new(),
            rows: None,
            apply: Apply::default(),
            verify: Verify::default(),
            unguarded: false,
        }
    }

    pub(super) fn sources(&mut self) -> Result<Vec<SourceName>, TargetError> {
        PositionRow::sources(&self.database)
    }

    pub(super) fn written_at(
        &mut self,
        source: &SourceName,
    ) -> Result<Option<String>, TargetError> {
        PositionRow::written_at(&self.database, source)
    }

    pub(super) fn stored(&mut self, source: &SourceName) -> Result<Option<Stored>, TargetError> {
        self.position.read(&self.database, source)
    }

    pub(super) fn is_guarded(&mut self, source: &SourceName) -> Result<bool, TargetError> {
        guard::is_on(&self.database, source)
    }

    pub(super) fn guard(
        &mut self,
        source: &SourceName,
        wanted: Option<bool>,
    ) -> Result<(), TargetError> {
        // Whoever writes is not waited for where there is nothing to do.
        if guard::changes(&self.database, source, wanted)?.is_empty() {
            return Ok(());
        }
        self.whole(|session| {
            guard::changes(&session.database, source, wanted)?.make(&session.database, source)
        })
    }

    /// In the open transaction.
    fn keep_guard(&self, source: &SourceName) -> Result<(), TargetError> {
        guard::changes(&self.database, source, None)?.make(&self.database, source)
    }

    pub(super) fn unfinished_load(
        &mut self,
        source: &SourceName,
    ) -> Result<Option<LoadRecord>, TargetError> {
        unfinished(&self.database, source)
    }

    pub(super) fn discard_load(
        &mut self,
        source: &SourceName,
        unfinished: &LoadRecord,
    ) -> Result<(), TargetError> {
        self.whole(|session| discard(&session.database, source, unfinished))
    }

    /// The state `loading` is on disk before the tables are made.
    pub(super) fn begin_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        self.whole(|session| {
            session.position.prepare(&session.database)?;
            session.position.write(&session.database, source, stored)
        })?;
        self.whole(|session| {
            session.load = prepare_tables(&session.database, source, snapshot, false)?;
            session.plan = LoadPlan::of(snapshot, Vec::new(), made(&session.load));
            session.begun(source, snapshot)
        })
    }

    /// Nothing that others see is changed but for tables that were missing.
    pub(super) fn begin_reload(
        &mut self,
        source: &SourceName,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        self.whole(|session| {
            session.load = prepare_tables(&session.database, source, snapshot, true)?;
            session.plan = LoadPlan::of_reload(snapshot, Vec::new(), made(&session.load));
            session.begun(source, snapshot)
        })
    }

    fn begun(&self, source: &SourceName, snapshot: &Snapshot) -> Result<(), TargetError> {
        write(&self.database, source, &LoadRecord::begun(snapshot, self.plan.clone()))
    }

    pub(super) fn resume_load(
        &mut self,
        unfinished: &LoadRecord,
        snapshot: &Snapshot,
    ) -> Result<bool, TargetError> {
        self.plan = unfinished.plan.clone();
        let shadowed = self.plan.reload.is_some();
        self.load = tables_of(&self.database, snapshot, &self.plan.made, shadowed)?;
        for name in self.load.iter().flat_map(|table| [&table.name, &table.into]) {
            let shape = Shape::read(&self.database.connection, name);
            if self.database.did("look up the tables", shape)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does something in a transaction of its own.
    fn whole(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        self.database.begin()?;
        let done = work(self).and_then(|()| self.database.commit());
        if done.is_err() {
            self.database.roll_back();
        }
        done
    }

    /// Opens a transaction where none is open.
    fn open(&mut self) -> Result<(), TargetError> {
        if self.database.connection.is_autocommit() { self.database.begin() } else { Ok(()) }
    }

    pub(super) fn begin_table(&mut self, table: &SnapshotTable) -> Result<(), TargetError> {
        let name = table_name(&table.schema, &table.name);
        let found = self.load.iter().find(|known| known.name == name);
        let Some(found) = found else {
            return Err(self.misused("a table that is not in the load"));
        };
        self.rows = Some(TableRows::new(found));
        self.open()
    }

    pub(super) fn load_rows(&mut self, piece: Bytes) -> Result<(), TargetError> {
        match &mut self.rows {
            Some(rows) => rows.feed(&self.database, piece),
            None => Err(self.misused("rows outside of a table")),
        }
    }

    pub(super) fn end_table(&mut self) -> Result<u64, TargetError> {
        match self.rows.take() {
            Some(rows) => rows.end(&self.database),
            None => Err(self.misused("the end of no table")),
        }
    }

    pub(super) fn end_part(
        &mut self,
        source: &SourceName,
        point: &LoadPoint,
    ) -> Result<(), TargetError> {
        self.open()?;
        advance(&self.database, source, point)?;
        self.database.commit()
    }

    pub(super) fn finish_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        self.open()?;
        let tables = std::mem::take(&mut self.load);
        match finish(&self.database, source, snapshot, &self.plan, tables)? {
            Ending::Complete => {
                let before = self.position.read(&self.database, source)?;
                let lineage = stored.position.lineage;
                if before.is_some_and(|before| before.position.lineage != lineage) {
                    forget_all(&self.database, source)?;
                }
                known::loaded(&self.database, source, snapshot)?;
                quarantine::clear(&self.database, source)?;
                self.keep_guard(source)?;
                self.position.write(&self.database, source, stored)?;
                self.database.commit()
            }
            Ending::Mixed(wrong) => {
                self.database.roll_back();
                self.whole(|session| forsake(&session.database, source))?;
                Err(wrong)
            }
        }
    }

    pub(super) fn begin(&mut self) -> Result<(), TargetError> {
        self.apply.begun();
        self.database.begin()
    }

    pub(super) fn apply(&mut self, operations: Vec<Operation>) -> Result<(), TargetError> {
        if self.database.connection.is_autocommit() {
            return Err(self.misused("changes outside of a transaction"));
        }
        self.apply.apply(&self.database, operations)
    }

    pub(super) fn note_tables(
        &mut self,
        source: &SourceName,
        tables: &[(Named, Lsn)],
    ) -> Result<(), TargetError> {
        self.unguarded = true;
        note(&self.database, source, tables)
    }

    pub(super) fn alter(
        &mut self,
        source: &SourceName,
        lsn: Lsn,
        change: &SchemaChange,
    ) -> Result<(), TargetError> {
        if self.database.connection.is_autocommit() {
            return Err(self.misused("a schema change outside of a transaction"));
        }
        self.forget_tables();
        alter(&self.database, source, lsn, change)?;
        self.unguarded = true;
        known::altered(&self.database, source, change)?;
        match change.table().filter(|_| change.after.is_none()) {
            Some(of) => guard::take_off(&self.database, source, &Named::new(&of.schema, &of.name)),
            None => Ok(()),
        }
    }

    pub(super) fn known_tables(
        &mut self,
        source: &SourceName,
    ) -> Result<HashMap<u32, KnownTable>, TargetError> {
        known::read(&self.database, source)
    }

    pub(super) fn meet(
        &mut self,
        source: &SourceName,
        known: Option<&KnownTable>,
        namesake: bool,
        relation: &Arc<Relation>,
    ) -> Result<(), TargetError> {
        if self.database.connection.is_autocommit() {
            return Err(self.misused("a definition outside of a transaction"));
        }
        known::meet(&self.database, source, known, namesake, relation)
    }

    pub(super) fn empty(&self, table: &Named) -> Result<(), TargetError> {
        empty(&self.database, table)
    }

    pub(super) fn has_own_rows(
        &self,
        source: &SourceName,
        table: &Named,
    ) -> Result<bool, TargetError> {
        has_own_rows(&self.database, source, table)
    }

    pub(super) fn begin_rows(
        &mut self,
        snapshot: &Snapshot,
        table: &SnapshotTable,
    ) -> Result<(), TargetError> {
        if self.database.connection.is_autocommit() {
            return Err(self.misused("rows outside of a transaction"));
        }
        self.load = tables_of(&self.database, snapshot, &[], false)?;
        self.begin_table(table)
    }

    pub(super) fn roll_back(&mut self) -> Result<(), TargetError> {
        self.forget_tables();
        self.apply.begun();
        (self.load, self.rows) = (Vec::new(), None);
        self.verify = Verify::default();
        self.database.roll_back();
        Ok(())
    }

    /// What was learned about tables, and statements, may not hold any more.
    fn forget_tables(&mut self) {
        self.apply.forget_tables();
        self.database.connection.flush_prepared_statement_cache();
    }

    pub(super) fn commit(
        &mut self,
        source: &SourceName,
        stored: &Stored,
    ) -> Result<Conflicts, TargetError> {
        if std::mem::take(&mut self.unguarded) {
            self.keep_guard(source)?;
        }
        self.position.advance(&self.database, source, stored)?;
        let met = self.apply.met().clone();
        if !met.is_empty() {
            conflicts::add(&self.database, source, &met)?;
        }
        self.database.commit()?;
        Ok(met)
    }

    pub(super) fn attempt(
        &mut self,
        operations: Vec<Operation>,
    ) -> Result<Option<TargetError>, TargetError> {
        let met = self.apply.met().clone();
        let savepoint = |session: &Self, sql| {
            session.database.did("set a savepoint", session.database.connection.execute_batch(sql))
        };
        savepoint(self, "SAVEPOINT tailwater_whole")?;
        match self.apply(operations) {
            Ok(()) => {
                self.unguarded = true;
                savepoint(self, "RELEASE tailwater_whole").map(|()| None)
            }
            Err(error) if !error.is_of_a_change() || self.database.connection.is_autocommit() => {
                Err(error)
            }
            Err(error) => {
                savepoint(self, "ROLLBACK TO tailwater_whole; RELEASE tailwater_whole")?;
                self.forget_tables();
                self.apply.undone_to(met);
                Ok(Some(error))
            }
        }
    }

    pub(super) fn hold(
        &mut self,
        source: &SourceName,
        held: &HeldTransaction,
    ) -> Result<(), TargetError> {
        quarantine::hold(&self.database, source, held)
    }

    pub(super) fn has_table(&self, table: &Named) -> Result<bool, TargetError> {
        let name = table_name(&table.schema, &table.name);
        let shape = Shape::read(&self.database.connection, &name);
        Ok(self.database.did("look up a table", shape)?.is_some())
    }

    pub(super) fn held(&self, source: &SourceName) -> Result<Vec<HeldTransaction>, TargetError> {
        quarantine::read(&self.database, source)
    }

    pub(super) fn release(&mut self, source: &SourceName, lsn: Lsn) -> Result<(), TargetError> {
        quarantine::release(&self.database, source, lsn)
    }

    pub(super) fn conflicts(&self, source: &SourceName) -> Result<Vec<ConflictCount>, TargetError> {
        conflicts::read(&self.database, source)
    }

    pub(super) fn on_conflict(&mut self, on_conflict: OnConflict) {
        self.apply.on_conflict = on_conflict;
    }

    fn misused(&self, what: &str) -> TargetError {
        TargetError::Statement {
            target: self.database.target.clone(),
            doing: "go on".into(),
            why: format!("{what} came out of turn"),
        }
    }
}
