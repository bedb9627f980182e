use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use wire::{Lsn, Relation, SchemaChange, Sequence, Snapshot, SnapshotTable, SourceName};

use super::{
    conflict::{ConflictCount, Conflicts, OnConflict},
    error::TargetError,
    held::{HeldTransaction, Reference},
    known::KnownTable,
    load::LoadRecord,
    load_point::LoadPoint,
    named::Named,
    operation::Operation,
    stored::Stored,
};

/// Writes rows of a load, part by part. A target may have several; each opens transactions of its own.
pub trait RowWriter: Send {
    /// Begins rows of a table, the first ones or more; opens a transaction where none is open.
    fn begin_table(
        &mut self,
        table: &SnapshotTable,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// More of the table's rows: lines in COPY text format, cut anywhere.
    fn load_rows(&mut self, rows: Bytes) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Ends the rows that were begun; gives their number.
    fn end_table(&mut self) -> impl Future<Output = Result<u64, TargetError>> + Send;

    /// Notes how far the load is, and commits it together with the rows since the last part. Of several
    /// writers one at a time does so. Fails, with nothing written, where another run of the program has taken
    /// the load over.
    fn end_part(
        &mut self,
        source: &SourceName,
        point: &LoadPoint,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;
}

/// A database that changes are applied to. One source is followed per opened target; all calls come
/// from one task, in order. Dropping a target in the middle of a transaction rolls it back.
pub trait Target: Send {
    /// What writes the rows of a load.
    type Writer: RowWriter;

    /// The target without its password, for messages.
    fn name(&self) -> &str;

    /// What its user should know, e.g. a right that is missing and what that means.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

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

    /// When the position row was written last, by the target's clock: RFC 3339, UTC.
    fn written_at(
        &mut self,
        source: &SourceName,
    ) -> impl Future<Output = Result<Option<String>, TargetError>> + Send {
        let _ = source;
        std::future::ready(Ok(None))
    }

    /// The sources that have a position row.
    fn sources(&mut self) -> impl Future<Output = Result<Vec<SourceName>, TargetError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Refuses other writers on the source's tables from now on, or lets them write again, as `wanted` says;
    /// none leaves it as it is. It holds for tables that come later, too. It guards against accidents.
    fn guard(
        &mut self,
        source: &SourceName,
        wanted: Option<bool>,
    ) -> impl Future<Output = Result<(), TargetError>> + Send {
        let _ = source;
        std::future::ready(match wanted {
            Some(true) => Err(TargetError::Refused {
                target: self.name().to_owned(),
                why: "it cannot refuse other writers".into(),
                advice: "leave --guard out".into(),
            }),
            _ => Ok(()),
        })
    }

    /// Whether other writers are refused.
    fn is_guarded(
        &mut self,
        source: &SourceName,
    ) -> impl Future<Output = Result<bool, TargetError>> + Send {
        let _ = source;
        std::future::ready(Ok(false))
    }

    /// The load that was begun and is not finished; none where there is none. A target that tells of none begins
    /// an interrupted load anew.
    fn unfinished_load(
        &mut self,
        source: &SourceName,
    ) -> impl Future<Output = Result<Option<LoadRecord>, TargetError>> + Send {
        let _ = source;
        std::future::ready(Ok(None))
    }

    /// Removes all that an unfinished load left: the tables, shadows and types it made, the rows that
    /// a first load wrote to tables that were there. Those must not have got others meanwhile.
    fn discard_load(
        &mut self,
        source: &SourceName,
        unfinished: &LoadRecord,
    ) -> impl Future<Output = Result<(), TargetError>> + Send {
        let _ = (source, unfinished);
        std::future::ready(Ok(()))
    }

    /// Begins the first load: notes `stored` (state loading) durably; then, in one transaction, makes
    /// missing schemas, types and tables, checks tables that exist (their columns must be there and
    /// they must be empty), and keeps a record of it.
    fn begin_load(
        &mut self,
        source: &SourceName,
        stored: &Stored,
        snapshot: &Snapshot,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Begins a reload: in one transaction, makes missing schemas, types and tables (empty), checks
    /// tables that exist (their columns must be there, their rows may be any), makes shadow tables for
    /// the rows to come, and keeps a record of it. The position stays, and so do all rows until
    /// [`Self::finish_load`].
    fn begin_reload(
        &mut self,
        source: &SourceName,
        snapshot: &Snapshot,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Goes on with an unfinished load of this snapshot, from where it is; none where one of its tables is
    /// gone, or the rows of a shadow. Whoever wrote to it before writes no more.
    fn resume_load(
        &mut self,
        source: &SourceName,
        unfinished: &LoadRecord,
        snapshot: &Snapshot,
    ) -> impl Future<Output = Result<Option<LoadPoint>, TargetError>> + Send {
        let _ = (source, unfinished, snapshot);
        std::future::ready(Ok(None))
    }

    /// Of a load that was begun or goes on: opens connections, until so many can write at once. Tells why
    /// they are fewer, where they are.
    fn widen(
        &mut self,
        connections: usize,
    ) -> impl Future<Output = Result<Option<String>, TargetError>> + Send {
        let _ = connections;
        std::future::ready(Ok(None))
    }

    /// What can write at once, at least one.
    fn writers(&mut self) -> Vec<&mut Self::Writer>;

    /// What writes the rows that [`Self::begin_rows`] begins.
    fn writer(&mut self) -> &mut Self::Writer;

    /// All rows are in. Counts them, puts those of shadows in the place of what the tables hold, makes
    /// constraints and indexes of tables that were made, and commits that together with `stored`. Readers
    /// see all of it or nothing. Where a table (for a reload: its shadow) has another number of rows than the snapshot, something else wrote to
    /// it: then the next load begins anew.
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

    /// Notes, in the open transaction, where the stream's first change of each of these tables is; what
    /// was noted before stays. A reload from a snapshot before that empties them: they joined since.
    fn note_tables(
        &mut self,
        source: &SourceName,
        tables: &[(Named, Lsn)],
    ) -> impl Future<Output = Result<(), TargetError>> + Send {
        let _ = (source, tables);
        std::future::ready(Ok(()))
    }

    /// What is known of the source's tables, by OID: as the stream told of each last, or the load.
    fn known_tables(
        &mut self,
        source: &SourceName,
    ) -> impl Future<Output = Result<HashMap<u32, KnownTable>, TargetError>> + Send {
        let _ = source;
        std::future::ready(Ok(HashMap::new()))
    }

    /// Sees, in the open transaction, whether the table here can take what comes by a definition that is new;
    /// `known` is what the stream told before, and `namesake` whether it told of another table by that name.
    /// Adds columns that are new to a table without rows.
    fn meet(
        &mut self,
        source: &SourceName,
        known: Option<&KnownTable>,
        namesake: bool,
        relation: &Arc<Relation>,
    ) -> impl Future<Output = Result<(), TargetError>> + Send {
        let _ = (source, known, namesake, relation);
        std::future::ready(Ok(()))
    }

    /// Does to a table, in the open transaction and behind the changes applied so far, what was done to it
    /// at the source at `lsn`. The transaction has no changes of another source transaction.
    fn alter(
        &mut self,
        source: &SourceName,
        lsn: Lsn,
        change: &SchemaChange,
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

    /// The source transaction of the schema changes so far is complete, and the target's goes on: what had to
    /// wait for its end is done now.
    fn settle(
        &mut self,
        source: &SourceName,
    ) -> impl Future<Output = Result<(), TargetError>> + Send {
        let _ = source;
        std::future::ready(Ok(()))
    }

    /// Before the transaction that leads to the snapshot: adds, for all to see, what no transaction may both
    /// add and use (PostgreSQL's enum labels). No row has it yet.
    fn prepare(
        &mut self,
        snapshot: &Snapshot,
    ) -> impl Future<Output = Result<(), TargetError>> + Send {
        let _ = snapshot;
        std::future::ready(Ok(()))
    }

    /// Removes all rows of a table, in the open transaction: others will be copied into it by
    /// [`Self::begin_rows`], in the same transaction. Readers go on to see the old ones, other writers wait.
    fn empty(
        &mut self,
        source: &SourceName,
        table: &Named,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Whether there is a table of that name that the stream never had changes of, with rows in it.
    fn has_own_rows(
        &mut self,
        source: &SourceName,
        table: &Named,
    ) -> impl Future<Output = Result<bool, TargetError>> + Send {
        let _ = (source, table);
        std::future::ready(Ok(false))
    }

    /// Begins all rows of a table of the snapshot, in the open transaction, into the table itself;
    /// [`RowWriter::load_rows`] and [`RowWriter::end_table`] follow.
    fn begin_rows(
        &mut self,
        snapshot: &Snapshot,
        table: &SnapshotTable,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Undoes the open transaction, if there is one, and forgets what was learned in it.
    fn roll_back(&mut self) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Writes the position and commits; both are on disk when it returns. Gives what changes of the transaction
    /// did not meet their rows, and were applied all the same.
    fn commit(
        &mut self,
        source: &SourceName,
        stored: &Stored,
    ) -> impl Future<Output = Result<Conflicts, TargetError>> + Send;

    /// Applies the changes of one source transaction in the open one, all or none; gives why not, where they
    /// cannot be, and then the open transaction is as it was.
    fn attempt(
        &mut self,
        operations: Vec<Operation>,
    ) -> impl Future<Output = Result<Option<TargetError>, TargetError>> + Send {
        let applied = self.apply(operations);
        async move { applied.await.map(|()| None) }
    }

    /// Puts a source transaction into quarantine, in the open transaction; one that is there gets another reason.
    fn hold(
        &mut self,
        source: &SourceName,
        held: &HeldTransaction,
    ) -> impl Future<Output = Result<(), TargetError>> + Send {
        let _ = (source, held);
        let target = self.name().to_owned();
        async move {
            let (doing, why) = ("keep a transaction aside".into(), "it has no quarantine".into());
            Err(TargetError::Statement { target, doing, why })
        }
    }

    /// The transactions in quarantine, in order.
    fn held(
        &mut self,
        source: &SourceName,
    ) -> impl Future<Output = Result<Vec<HeldTransaction>, TargetError>> + Send {
        let _ = source;
        std::future::ready(Ok(Vec::new()))
    }

    /// Takes a transaction out of quarantine, in the open one.
    fn release(
        &mut self,
        source: &SourceName,
        lsn: Lsn,
    ) -> impl Future<Output = Result<(), TargetError>> + Send {
        let _ = (source, lsn);
        std::future::ready(Ok(()))
    }

    /// Whether there is a table of that name.
    fn has_table(
        &mut self,
        table: &Named,
    ) -> impl Future<Output = Result<bool, TargetError>> + Send {
        let _ = table;
        std::future::ready(Ok(true))
    }

    /// The foreign keys of its tables.
    fn references(&mut self) -> impl Future<Output = Result<Vec<Reference>, TargetError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Says what becomes of changes that do not meet their rows, from here on.
    fn on_conflict(
        &mut self,
        on_conflict: OnConflict,
    ) -> impl Future<Output = Result<(), TargetError>> + Send {
        let _ = on_conflict;
        std::future::ready(Ok(()))
    }

    /// How many changes of the source have not met their rows since ever, by table and kind.
    fn conflicts(
        &mut self,
        source: &SourceName,
    ) -> impl Future<Output = Result<Vec<ConflictCount>, TargetError>> + Send {
        let _ = source;
        std::future::ready(Ok(Vec::new()))
    }

    /// Ends the session.
    fn close(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        drop(self);
        std::future::ready(())
    }
}
