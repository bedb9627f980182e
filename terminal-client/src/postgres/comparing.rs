use wire::{SnapshotTable, SourceName, TableDefinition};

use super::{
    database::PostgresTarget,
    load::Load,
    place::Place,
    verify::{begin_compare, begin_repair},
};
use crate::target::{Compare, Differences, Named, Repaired, Staged, TargetError};

impl PostgresTarget {
    fn place<'a>(&'a self, source: &'a SourceName) -> Place<'a> {
        Place { target: &self.name, client: &self.writer.session.client, source }
    }
}

impl Compare for PostgresTarget {
    async fn begin_compare(&mut self, source: &SourceName) -> Result<(), TargetError> {
        begin_compare(self.place(source)).await
    }

    async fn begin_repair(
        &mut self,
        source: &SourceName,
        tables: &[Named],
        all: &[Named],
    ) -> Result<(), TargetError> {
        begin_repair(self.place(source), (tables, all), !self.replica_role).await
    }

    async fn stage(
        &mut self,
        source: &SourceName,
        table: &SnapshotTable,
        definition: &TableDefinition,
    ) -> Result<Staged, TargetError> {
        let place = Place { target: &self.name, client: &self.writer.session.client, source };
        let stage = match self.verify.stage(place, table, definition).await? {
            Ok(stage) => stage,
            Err(not) => return Ok(not),
        };
        let mut load = Load::within();
        load.begin_copy(place.target, place.client, stage.name, &stage.columns).await?;
        self.writer.load = load;
        Ok(Staged::Begun)
    }

    async fn differences(
        &mut self,
        source: &SourceName,
        show: usize,
    ) -> Result<Differences, TargetError> {
        let place = Place { target: &self.name, client: &self.writer.session.client, source };
        self.verify.differences(place, show).await
    }

    async fn keep(&mut self, source: &SourceName) -> Result<(), TargetError> {
        let place = Place { target: &self.name, client: &self.writer.session.client, source };
        self.verify.keep(place).await
    }

    async fn repair(&mut self, source: &SourceName) -> Result<Repaired, TargetError> {
        let place = Place { target: &self.name, client: &self.writer.session.client, source };
        self.verify.repair(place).await
    }
}
