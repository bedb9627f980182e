//! A target that remembers what was done to it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use wire::{Lsn, SchemaChange, Snapshot, SnapshotTable, SourceName};

use crate::target::{
    Conflicts, LoadPoint, LoadRecord, Named, Operation, RowWriter, Stored, Target, TargetError,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Begin,
    /// The transactions that the changes belong to, in order, and how many changes of each.
    Apply(Vec<(Lsn, usize)>),
    /// The position and the table.
    Alter(Lsn, String),
    Commit(Lsn),
    RollBack,
    Empty(String),
    Rows(String),
}

#[derive(Clone, Default)]
pub(super) struct Recorder {
    pub(super) done: Arc<Mutex<Vec<Done>>>,
    stored: Arc<Mutex<Option<Stored>>>,
}

impl Recorder {
    /// One that was loaded, and stands there.
    pub(super) fn at(stored: Stored) -> Self {
        Self { stored: Arc::new(Mutex::new(Some(stored))), ..Self::default() }
    }

    fn note(&self, done: Done) {
        self.done.lock().unwrap().push(done);
    }

    pub(super) fn all(&self) -> Vec<Done> {
        self.done.lock().unwrap().clone()
    }
}

impl RowWriter for Recorder {
    async fn begin_table(&mut self, _: &SnapshotTable) -> Result<(), TargetError> {
        Ok(())
    }

    async fn load_rows(&mut self, _: Bytes) -> Result<(), TargetError> {
        Ok(())
    }

    async fn end_table(&mut self) -> Result<u64, TargetError> {
        Ok(0)
    }

    async fn end_part(&mut self, _: &SourceName, _: &LoadPoint) -> Result<(), TargetError> {
        Ok(())
    }
}

impl Target for Recorder {
    type Writer = Self;

    fn name(&self) -> &str {
        "recorder"
    }

    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    async fn lock(&mut self, _: &SourceName, _: Duration) -> Result<bool, TargetError> {
        Ok(true)
    }

    async fn stored(&mut self, _: &SourceName) -> Result<Option<Stored>, TargetError> {
        Ok(self.stored.lock().unwrap().clone())
    }

    async fn sources(&mut self) -> Result<Vec<SourceName>, TargetError> {
        Ok(Vec::new())
    }

    async fn unfinished_load(&mut self, _: &SourceName) -> Result<Option<LoadRecord>, TargetError> {
        Ok(None)
    }

    async fn discard_load(&mut self, _: &SourceName, _: &LoadRecord) -> Result<(), TargetError> {
        Ok(())
    }

    async fn resume_load(
        &mut self,
        _: &SourceName,
        _: &LoadRecord,
        _: &Snapshot,
    ) -> Result<Option<LoadPoint>, TargetError> {
        Ok(None)
    }

    async fn begin_load(
        &mut self,
        _: &SourceName,
        _: &Stored,
        _: &Snapshot,
    ) -> Result<(), TargetError> {
        Ok(())
    }

    async fn begin_reload(&mut self, _: &SourceName, _: &Snapshot) -> Result<(), TargetError> {
        Ok(())
    }

    fn writers(&mut self) -> Vec<&mut Self> {
        vec![self]
    }

    fn writer(&mut self) -> &mut Self {
        self
    }

    async fn finish_load(
        &mut self,
        _: &SourceName,
        _: &Stored,
        _: &Snapshot,
    ) -> Result<(), TargetError> {
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), TargetError> {
        self.note(Done::Begin);
        Ok(())
    }

    async fn apply(&mut self, operations: Vec<Operation>) -> Result<(), TargetError> {
        let runs = operations.chunk_by(|a, b| a.lsn == b.lsn);
        self.note(Done::Apply(runs.map(|run| (run[0].lsn, run.len())).collect()));
        Ok(())
    }

    async fn alter(
        &mut self,
        _: &SourceName,
        lsn: Lsn,
        change: &SchemaChange,
    ) -> Result<(), TargetError> {
        self.note(Done::Alter(lsn, change.table().unwrap().to_string()));
        Ok(())
    }

    async fn empty(&mut self, _: &SourceName, table: &Named) -> Result<(), TargetError> {
        self.note(Done::Empty(format!("{}.{}", table.schema, table.name)));
        Ok(())
    }

    async fn begin_rows(&mut self, _: &Snapshot, table: &SnapshotTable) -> Result<(), TargetError> {
        self.note(Done::Rows(format!("{}.{}", table.schema, table.name)));
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<(), TargetError> {
        self.note(Done::RollBack);
        Ok(())
    }

    async fn commit(&mut self, _: &SourceName, stored: &Stored) -> Result<Conflicts, TargetError> {
        self.note(Done::Commit(stored.position.lsn));
        *self.stored.lock().unwrap() = Some(stored.clone());
        Ok(Conflicts::default())
    }

    async fn close(self) {}
}
