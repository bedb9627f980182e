use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::Client;
use wire::{SnapshotTable, SourceName};

use super::{super::connect::Session, Load, Place};
use crate::target::{LoadPoint, RowWriter, TargetError};

/// A connection, and what it writes of a load.
pub struct Writer {
    pub(in super::super) target: Arc<str>,
    pub(in super::super) session: Session,
    pub(in super::super) load: Load,
}

impl Writer {
    pub(in super::super) fn new(target: Arc<str>, session: Session) -> Self {
        Self { target, session, load: Load::default() }
    }

    /// Another connection that writes the same load.
    pub(in super::super) fn beside(&self, session: Session) -> Self {
        Self { target: self.target.clone(), session, load: self.load.beside() }
    }

    pub(in super::super) fn client(&self) -> &Client {
        &self.session.client
    }

    pub(super) fn place<'a>(&'a self, source: &'a SourceName) -> Place<'a> {
        Place { target: &self.target, client: self.client(), source }
    }
}

impl RowWriter for Writer {
    async fn begin_table(&mut self, table: &SnapshotTable) -> Result<(), TargetError> {
        self.load.begin_table(&self.target, &self.session.client, table).await
    }

    async fn load_rows(&mut self, rows: Bytes) -> Result<(), TargetError> {
        self.load.rows(&self.target, rows).await
    }

    async fn end_table(&mut self) -> Result<u64, TargetError> {
        self.load.end_table(&self.target).await
    }

    async fn end_part(
        &mut self,
        source: &SourceName,
        point: &LoadPoint,
    ) -> Result<(), TargetError> {
        let place = Place { target: &self.target, client: &self.session.client, source };
        self.load.end_part(place, point).await
    }
}
