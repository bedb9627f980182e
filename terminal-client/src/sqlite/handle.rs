use std::{collections::HashMap, fs::File, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use wire::{Lsn, Relation, SchemaChange, Snapshot, SnapshotTable, SourceName};

use super::{database::real_path, file::SqliteFile, lock::lock, session::Session, worker::Worker};
use crate::target::{
    ConflictCount, Conflicts, HeldTransaction, KnownTable, LoadPoint, LoadRecord, Named,
    OnConflict, Operation, RowWriter, Stored, Target, TargetError,
};

/// A SQLite file as a target. Changes are applied by a thread of its own, while the next are prepared.
pub struct SqliteTarget {
    name: String,
    path: PathBuf,
    pub(super) worker: Worker,
    /// Behind the worker, so that it is let go of last.
    locks: HashMap<SourceName, File>,
}

impl SqliteTarget {
    /// Opens the file. Where another program holds it, this waits as long as
    /// [`SqliteFile::busy_timeout`] says.
    ///
    /// # Errors
    /// [`TargetError::Refused`] where there is no such folder, no right or no database;
    /// [`TargetError::Busy`] where the file stays locked.
    pub async fn open(file: &SqliteFile) -> Result<Self, TargetError> {
        let name = file.to_string();
        let path = real_path(&name, &file.path)?;
        let worker =
            Worker::start(SqliteFile { path: path.clone(), ..file.clone() }, name.clone()).await?;
        Ok(Self { name, path, worker, locks: HashMap::new() })
    }
}

impl RowWriter for SqliteTarget {
    async fn begin_table(&mut self, table: &SnapshotTable) -> Result<(), TargetError> {
        let table = table.clone();
        self.worker.call(move |session| session.begin_table(&table)).await
    }

    async fn load_rows(&mut self, rows: Bytes) -> Result<(), TargetError> {
        let len = rows.len();
        self.worker.send_ahead(len, move |session| session.load_rows(rows)).await
    }

    async fn end_table(&mut self) -> Result<u64, TargetError> {
        self.worker.call(Session::end_table).await
    }

    async fn end_part(
        &mut self,
        source: &SourceName,
        point: &LoadPoint,
    ) -> Result<(), TargetError> {
        let (source, point) = (source.clone(), point.clone());
        self.worker.call(move |session| session.end_part(&source, &point)).await
    }
}

impl Target for SqliteTarget {
    type Writer = Self;

    fn name(&self) -> &str {
        &self.name
    }

    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    async fn lock(&mut self, source: &SourceName, wait: Duration) -> Result<bool, TargetError> {
        if self.locks.contains_key(source) {
            return Ok(true);
        }
        let locked = lock(&self.name, &self.path, source, wait).await?;
        let got = locked.is_some();
        self.locks.extend(locked.map(|file| (source.clone(), file)));
        Ok(got)
    }

    async fn written_at(&mut self, source: &SourceName) -> Result<Option<String>, TargetError> {
        let source = source.clone();
        self.worker.call(move |session| session.written_at(&source)).await
    }

    async fn sources(&mut self) -> Result<Vec<SourceName>, TargetError> {
        self.worker.call(Session::sources).await
    }

    async fn stored(&mut self, source: &SourceName) -> Result<Option<Stored>, TargetError> {
        let source = source.clone();
        self.worker.call(move |session| session.stored(&source)).await
    }

    async fn guard(
        &mut self,
        source: &SourceName,
        wanted: Option<bool>,
    ) -> Result<(), TargetError> {
        let source = source.clone();
        self.worker.call(move |session| session.guard(&source, wanted)).await
    }

    async fn is_guarded(&mut self, source: &SourceName) -> Result<bool, TargetError> {
        let source = source.clone();
        self.worker.call(move |session| session.is_guarded(&source)).await
    }

    async fn unfinished_load(
        &mut self,
        source: &SourceName,
    ) -> Result<Option<LoadRecord>, TargetError> {
        let source = source.clone();
        self.worker.call(move |session| session.unfinished_load(&source)).await
    }

    async fn discard_load(
        &mut self,
        source: &SourceName,
        unfinished: &LoadRecord,
    ) -> Result<(), TargetError> {
        let (source, unfinished) = (source.clone(), unfinished.clone());
        self.worker.call(move |session| session.discard_load(&source, &unfinished)).await
    }

    async fn resume_load(
        &mut self,
        _: &SourceName,
        unfinished: &LoadRecord,
        snapshot: &Snapshot,
    ) -> Result<Option<LoadPoint>, TargetError> {
        let (unfinished, snapshot, point) =
            (unfinished.clone(), snapshot.clone(), unfinished.point.clone());
        let resumed =
            self.worker.call(move |session| session.resume_load(&unfinished, &snapshot)).await?;
        Ok(resumed.then_some(point))
    }

    async fn begin_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        let (source, stored, snapshot) = (source.clone(), stored.clone(), snapshot.clone());
        self.worker.call(move |session| session.begin_load(&source, &stored, &snapshot)).await
    }

    async fn begin_reload(
        &mut self,
        source: &SourceName,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        let (source, snapshot) = (source.clone(), snapshot.clone());
        self.worker.call(move |session| session.begin_reload(&source, &snapshot)).await
    }

    /// SQLite has one writer.
    fn writers(&mut self) -> Vec<&mut Self> {
        vec![self]
    }

    fn writer(&mut self) -> &mut Self {
        self
    }

    async fn finish_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        let (source, stored, snapshot) = (source.clone(), stored.clone(), snapshot.clone());
        self.worker.call(move |session| session.finish_load(&source, &stored, &snapshot)).await
    }

    async fn begin(&mut self) -> Result<(), TargetError> {
        self.worker.call(Session::begin).await
    }

    async fn apply(&mut self, operations: Vec<Operation>) -> Result<(), TargetError> {
        let len = operations.iter().map(Operation::len).sum();
        self.worker.send_ahead(len, move |session| session.apply(operations)).await
    }

    async fn note_tables(
        &mut self,
        source: &SourceName,
        tables: &[(Named, Lsn)],
    ) -> Result<(), TargetError> {
        let (source, tables) = (source.clone(), tables.to_vec());
        self.worker.call(move |session| session.note_tables(&source, &tables)).await
    }

    async fn known_tables(
        &mut self,
        source: &SourceName,
    ) -> Result<HashMap<u32, KnownTable>, TargetError> {
        let source = source.clone();
        self.worker.call(move |session| session.known_tables(&source)).await
    }

    async fn meet(
        &mut self,
        source: &SourceName,
        known: Option<&KnownTable>,
        namesake: bool,
        relation: &Arc<Relation>,
    ) -> Result<(), TargetError> {
        let (source, known, relation) = (source.clone(), known.cloned(), relation.clone());
        self.worker
            .call(move |session| session.meet(&source, known.as_ref(), namesake, &relation))
            .await
    }

    async fn alter(
        &mut self,
        source: &SourceName,
        lsn: Lsn,
        change: &SchemaChange,
    ) -> Result<(), TargetError> {
        let (source, change) = (source.clone(), change.clone());
        self.worker.call(move |session| session.alter(&source, lsn, &change)).await
    }

    async fn empty(&mut self, _: &SourceName, table: &Named) -> Result<(), TargetError> {
        let table = table.clone();
        self.worker.call(move |session| session.empty(&table)).await
    }

    async fn has_own_rows(
        &mut self,
        source: &SourceName,
        table: &Named,
    ) -> Result<bool, TargetError> {
        let (source, table) = (source.clone(), table.clone());
        self.worker.call(move |session| session.has_own_rows(&source, &table)).await
    }

    async fn begin_rows(
        &mut self,
        snapshot: &Snapshot,
        table: &SnapshotTable,
    ) -> Result<(), TargetError> {
        let (snapshot, table) = (snapshot.clone(), table.clone());
        self.worker.call(move |session| session.begin_rows(&snapshot, &table)).await
    }

    async fn roll_back(&mut self) -> Result<(), TargetError> {
        self.worker.call_anew(Session::roll_back).await
    }

    async fn attempt(
        &mut self,
        operations: Vec<Operation>,
    ) -> Result<Option<TargetError>, TargetError> {
        self.worker.call(move |session| session.attempt(operations)).await
    }

    async fn hold(
        &mut self,
        source: &SourceName,
        held: &HeldTransaction,
    ) -> Result<(), TargetError> {
        let (source, held) = (source.clone(), held.clone());
        self.worker.call(move |session| session.hold(&source, &held)).await
    }

    async fn held(&mut self, source: &SourceName) -> Result<Vec<HeldTransaction>, TargetError> {
        let source = source.clone();
        self.worker.call(move |session| session.held(&source)).await
    }

    async fn has_table(&mut self, table: &Named) -> Result<bool, TargetError> {
        let table = table.clone();
        self.worker.call(move |session| session.has_table(&table)).await
    }

    async fn release(&mut self, source: &SourceName, lsn: Lsn) -> Result<(), TargetError> {
        let source = source.clone();
        self.worker.call(move |session| session.release(&source, lsn)).await
    }

    async fn on_conflict(&mut self, on_conflict: OnConflict) -> Result<(), TargetError> {
        self.worker
            .call(move |session| {
                session.on_conflict(on_conflict);
                Ok(())
            })
            .await
    }

    async fn conflicts(&mut self, source: &SourceName) -> Result<Vec<ConflictCount>, TargetError> {
        let source = source.clone();
        self.worker.call(move |session| session.conflicts(&source)).await
    }

    async fn commit(
        &mut self,
        source: &SourceName,
        stored: &Stored,
    ) -> Result<Conflicts, TargetError> {
        let (source, stored) = (source.clone(), stored.clone());
        self.worker.call(move |session| session.commit(&source, &stored)).await
    }

    async fn close(self) {
        self.worker.close().await;
    }
}
