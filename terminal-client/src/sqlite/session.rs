use bytes::Bytes;
use wire::{Snapshot, SnapshotTable, SourceName};

use super::{
    apply::RowApply,
    database::Database,
    load::{LoadTable, TableRows, finish_table, prepare_tables},
    position_row::PositionRow,
    schema::table_name,
};
use crate::target::{Operation, Stored, TargetError};

/// What the thread of the file does, call by call.
pub(super) struct Session {
    database: Database,
    position: PositionRow,
    load: Vec<LoadTable>,
    rows: Option<TableRows>,
    apply: RowApply,
}

impl Session {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            position: PositionRow::default(),
            load: Vec::new(),
            rows: None,
            apply: RowApply::default(),
        }
    }

    pub(super) fn sources(&mut self) -> Result<Vec<SourceName>, TargetError> {
        PositionRow::sources(&self.database)
    }

    pub(super) fn stored(&mut self, source: &SourceName) -> Result<Option<Stored>, TargetError> {
        self.position.read(&self.database, source)
    }

    /// The state `loading` is on disk before the load's own transaction begins.
    pub(super) fn begin_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        let begun = self.note_loading(source, stored).and_then(|()| {
            self.database.begin()?;
            self.load = prepare_tables(&self.database, source, snapshot)?;
            Ok(())
        });
        if begun.is_err() {
            self.database.roll_back();
        }
        begun
    }

    fn note_loading(&mut self, source: &SourceName, stored: &Stored) -> Result<(), TargetError> {
        self.database.begin()?;
        self.position.prepare(&self.database)?;
        self.position.write(&self.database, source, stored)?;
        self.database.commit()
    }

    pub(super) fn begin_table(&mut self, table: &SnapshotTable) -> Result<(), TargetError> {
        let name = table_name(&table.schema, &table.name);
        let found = self.load.iter().find(|known| known.name == name);
        let Some(found) = found else {
            return Err(self.misused("a table that is not in the load"));
        };
        self.rows = Some(TableRows::new(found));
        Ok(())
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

    pub(super) fn finish_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
    ) -> Result<(), TargetError> {
        for table in std::mem::take(&mut self.load) {
            if self.database.stopped() {
                return Err(self.misused("a call of a target that is being dropped"));
            }
            finish_table(&self.database, source, &table)?;
        }
        self.position.write(&self.database, source, stored)?;
        self.database.commit()
    }

    pub(super) fn begin(&mut self) -> Result<(), TargetError> {
        self.database.begin()
    }

    pub(super) fn apply(&mut self, operations: Vec<Operation>) -> Result<(), TargetError> {
        if self.database.connection.is_autocommit() {
            return Err(self.misused("changes outside of a transaction"));
        }
        for operation in operations {
            if self.database.stopped() {
                break;
            }
            self.apply.apply(&self.database, operation)?;
        }
        Ok(())
    }

    pub(super) fn commit(
        &mut self,
        source: &SourceName,
        stored: &Stored,
    ) -> Result<(), TargetError> {
        self.position.advance(&self.database, source, stored)?;
        self.database.commit()
    }

    fn misused(&self, what: &str) -> TargetError {
        TargetError::Statement {
            target: self.database.target.clone(),
            doing: "go on".into(),
            why: format!("{what} came out of turn"),
        }
    }
}
