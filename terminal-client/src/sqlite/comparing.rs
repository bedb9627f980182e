use wire::{SnapshotTable, SourceName, TableDefinition};

use super::{handle::SqliteTarget, load::TableRows, session::Session};
use crate::target::{Compare, Differences, Named, Repaired, Staged, TargetError};

impl Session {
    /// A reader's, which sees the file as of its first look.
    fn begin_compare(&mut self) -> Result<(), TargetError> {
        let begun = self.database.connection.execute_batch("BEGIN");
        self.database.did("begin a transaction", begun)
    }

    fn stage(
        &mut self,
        table: &SnapshotTable,
        definition: &TableDefinition,
    ) -> Result<Staged, TargetError> {
        match self.verify.stage(&self.database, table, definition)? {
            Ok(stage) => {
                self.rows = Some(TableRows::new(&stage));
                Ok(Staged::Begun)
            }
            Err(not) => Ok(not),
        }
    }
}

impl Compare for SqliteTarget {
    async fn begin_compare(&mut self, _: &SourceName) -> Result<(), TargetError> {
        self.worker.call(Session::begin_compare).await
    }

    /// The file has one writer at a time, and foreign keys and triggers do not act.
    async fn begin_repair(
        &mut self,
        _: &SourceName,
        _: &[Named],
        _: &[Named],
    ) -> Result<(), TargetError> {
        self.worker.call(Session::begin).await
    }

    async fn stage(
        &mut self,
        _: &SourceName,
        table: &SnapshotTable,
        definition: &TableDefinition,
    ) -> Result<Staged, TargetError> {
        let (table, definition) = (table.clone(), definition.clone());
        self.worker.call(move |session| session.stage(&table, &definition)).await
    }

    async fn differences(
        &mut self,
        _: &SourceName,
        show: usize,
    ) -> Result<Differences, TargetError> {
        self.worker.call(move |session| session.verify.differences(&session.database, show)).await
    }

    async fn keep(&mut self, _: &SourceName) -> Result<(), TargetError> {
        self.worker.call(|session| session.verify.keep(&session.database)).await
    }

    async fn repair(&mut self, _: &SourceName) -> Result<Repaired, TargetError> {
        self.worker.call(|session| Ok(session.verify.repaired())).await
    }
}
