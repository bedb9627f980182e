use std::{future::Future, time::Duration};

use bytes::Bytes;
use wire::{Sequence, Snapshot, SnapshotTable, SourceName};

use super::{error::TargetError, operation::Operation, stored::Stored};

/// A database that changes are applied to. One source is followed per opened target; all calls come
/// from one task, in order. Dropping a target in the middle of a transaction rolls it back.
pub trait Target: Send {
    /// The target without its password, for messages.
    fn name(&self) -> &str;

    /// What its user should know, e.g. a right that is missing and what that means.
    fn notes(&self) -> Vec<String>;

    /// Takes the lock of (target, source), waiting so long for another run; false where it is still
    /// held then. It goes with the target.
    fn lock(
        &mut self,
        source: &SourceName,
        wait: Duration,
    ) -> impl Future<Output = Result<bool, TargetError>> + Send;

    /// The position row of the source; none where there has been no load yet.
    fn stored(
        &mut self,
        source: &SourceName,
    ) -> impl Future<Output = Result<Option<Stored>, TargetError>> + Send;

    /// The sources that have a position row.
    fn sources(&mut self) -> impl Future<Output = Result<Vec<SourceName>, TargetError>> + Send;

    /// Begins the first load: notes `stored` (state loading) durably, then opens one transaction in
    /// which missing schemas, types and tables are made and existing tables are checked: their
    /// columns must be there and they must be empty.
    fn begin_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Begins a table's rows.
    fn begin_table(
        &mut self,
        table: &SnapshotTable,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// More of the table's rows: lines in COPY text format, cut anywhere.
    fn load_rows(&mut self, rows: Bytes) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Ends a table's rows; gives their number.
    fn end_table(&mut self) -> impl Future<Output = Result<u64, TargetError>> + Send;

    /// Makes constraints and indexes, and commits all of the load together with `stored`.
    fn finish_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Opens a target transaction.
    fn begin(&mut self) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Applies changes in order. After an error the target must be dropped.
    fn apply(
        &mut self,
        operations: Vec<Operation>,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Puts sequences to where they stand at the source, in the open transaction; those of tables that
    /// are not here are passed over. What cannot be done is no error: no row depends on it.
    fn set_sequences(
        &mut self,
        sequences: &[Sequence],
    ) -> impl Future<Output = Result<(), TargetError>> + Send {
        let _ = sequences;
        std::future::ready(Ok(()))
    }

    /// Writes the position and commits; both are on disk when it returns.
    fn commit(
        &mut self,
        source: &SourceName,
        stored: &Stored,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Ends the session.
    fn close(self) -> impl Future<Output = ()> + Send;
}
