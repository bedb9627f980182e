use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};
use wire::{Lsn, SchemaChange, TerminalState};

use super::{
    bundle::Bundle,
    decode::{Altered, BATCHES_AHEAD, Batch, Cut, decode},
    error::PullError,
    noted::Noted,
    quarantine::{Quarantine, retry},
    settings::Settings,
    status::Status,
};
use crate::{
    progress::Progress,
    range::Relations,
    target::{ConflictCount, ConflictKind, Conflicts, Operation, Stored, Target},
};

/// Applies bundles to a target. Several source transactions share a target transaction; none is ever
/// split over two.
pub(super) struct Applier<'a, T> {
    target: &'a mut T,
    settings: Arc<Settings>,
    status: watch::Sender<Status>,
    progress: &'a Progress,
    stored: Stored,
    relations: Option<Relations>,
    noted: Noted,
    open: Option<Open>,
    quarantine: Quarantine,
    /// Whether the batch before ended within a transaction.
    within: bool,
    /// Whether a table was altered since the last commit.
    altered: bool,
}

/// The open target transaction.
struct Open {
    since: Instant,
    changes: u64,
    transactions: u64,
}

impl<'a, T: Target> Applier<'a, T> {
    pub(super) fn new(
        target: &'a mut T,
        settings: Arc<Settings>,
        status: watch::Sender<Status>,
        progress: &'a Progress,
        stored: Stored,
    ) -> Self {
        let relations = Some(Relations::default());
        let noted = Noted::default();
        let quarantine = Quarantine::default();
        Self {
            target,
            settings,
            status,
            progress,
            stored,
            relations,
            noted,
            open: None,
            quarantine,
            within: false,
            altered: false,
        }
    }

    /// With what waits in the target's quarantine.
    pub(super) fn with(self, quarantine: Quarantine) -> Self {
        Self { quarantine, ..self }
    }

    /// What is in the target.
    pub(super) fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Applies a bundle and commits; stops before its end, between two transactions, when `stop` says
    /// so.
    pub(super) async fn bundle(
        &mut self,
        bundle: Bundle,
        stop: impl Fn() -> bool,
    ) -> Result<(), PullError> {
        let head = bundle.head;
        let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
        let mut relations = self.relations.take().unwrap_or_default();
        let source = self.settings.source.clone();
        let commit_changes = Some(self.settings.bounds.commit_changes);
        let cut = Cut { until: None, commit_changes, apart: self.quarantine.is_watchful() };
        let decoding = tokio::task::spawn_blocking(move || {
            let result = decode(&source, &bundle, &mut relations, cut, &sender);
            (relations, result)
        });
        while let Some(batch) = batches.recv().await {
            let committed = self.batch(batch, head, &stop).await?;
            if committed && stop() {
                return Ok(());
            }
        }
        let (relations, result) =
            decoding.await.map_err(|error| PullError::Internal(error.to_string()))?;
        self.relations = Some(relations);
        self.quarantine.calm();
        result.map_err(|error| error.of(&self.settings.source))
    }

    /// Whether it left everything committed.
    async fn batch(
        &mut self,
        batch: Batch,
        head: Lsn,
        stop: impl Fn() -> bool,
    ) -> Result<bool, PullError> {
        self.lacks_nothing(&batch)?;
        if self.open.is_none() {
            if batch.is_empty() && batch.boundary.as_ref() == Some(&self.stored.position) {
                return Ok(true);
            }
            self.target.begin().await?;
            self.open = Some(Open { since: Instant::now(), changes: 0, transactions: 0 });
        }
        let mut done = (batch.operations.len() as u64, batch.transactions);
        let whole = !std::mem::replace(&mut self.within, batch.boundary.is_none())
            && batch.boundary.is_some();
        if !self.apply(batch.operations, whole).await? {
            done = (0, 0);
        }
        if !batch.sequences.is_empty() {
            self.target.set_sequences(&batch.sequences).await?;
        }
        drop(batch.applied);
        if let Some(map) = batch.channel_map {
            self.stored.channel_map = map;
        }
        if let Some(Altered { lsn, change }) = batch.schema_change {
            self.alter(lsn, &change).await?;
        }
        let Some(open) = &mut self.open else { return Ok(true) };
        let (changes, transactions) = done;
        open.changes += changes;
        open.transactions += transactions;
        self.progress.changes(changes);
        let Some(boundary) = batch.boundary else { return Ok(false) };
        let bounds = &self.settings.bounds;
        let full =
            open.changes >= bounds.commit_changes || open.since.elapsed() >= bounds.commit_after;
        self.stored.position = boundary;
        if !(batch.commit || full || stop()) {
            return Ok(false);
        }
        let met = self.target.commit(&self.settings.source, &self.stored).await?;
        self.committed(head, &met);
        self.retry().await?;
        Ok(true)
    }

    /// Applies changes in the open transaction; `whole` where they are all of a source transaction, if each is
    /// handed on by itself. Whether they were applied, rather than put into quarantine.
    async fn apply(
        &mut self,
        mut operations: Vec<Operation>,
        whole: bool,
    ) -> Result<bool, PullError> {
        let (target, settings) = (&mut *self.target, &self.settings);
        let (source, on_error) = (&settings.source, settings.policy.on_error);
        let watchful = self.quarantine.is_watchful();
        if watchful && !whole {
            self.quarantine.check_part(&operations)?;
        }
        let mut all = Vec::new();
        while !operations.is_empty() {
            let mut next = self.noted.next(target, source, &mut operations, |_| false).await?;
            if watchful && whole {
                all.append(&mut next);
            } else {
                target.apply(next).await?;
            }
        }
        if all.is_empty() {
            return Ok(true);
        }
        self.quarantine.apply(target, source, on_error, all).await
    }

    /// What waits may fit into a table that was altered.
    async fn retry(&mut self) -> Result<(), PullError> {
        if !std::mem::take(&mut self.altered) || self.quarantine.transactions() == 0 {
            return Ok(());
        }
        let source = &self.settings.source;
        let retried = retry(self.target, source, &self.stored).await?;
        if retried.applied > 0 {
            self.progress.say(&format!("{} transactions left the quarantine", retried.applied));
        }
        self.quarantine.read_again(self.target, source).await?;
        self.count_held();
        Ok(())
    }

    fn count_held(&self) {
        let held = self.quarantine.transactions();
        self.status.send_modify(|status| {
            status.divergence.get_or_insert_default().quarantined = held;
        });
    }

    /// What comes next has all rows of our tables.
    fn lacks_nothing(&self, batch: &Batch) -> Result<(), PullError> {
        let ours = |of: &&Altered| self.stored.has_table(&of.change);
        let needed = |lsn: Lsn, table: String, joined: bool| {
            let source_name = self.settings.source.clone();
            Err(PullError::RowsNeeded { source_name, lsn, table, joined })
        };
        if let Some(Altered { lsn, change }) = batch.lacking.iter().find(ours) {
            let table = change.table().map(ToString::to_string).unwrap_or_default();
            return needed(*lsn, table, change.before.is_none());
        }
        match &batch.joined {
            Some((lsn, table)) if self.stored.has_joined(table) => {
                needed(*lsn, table.to_string(), true)
            }
            _ => Ok(()),
        }
    }

    /// Does to a table what was done to it on the master, in its place among the rows.
    async fn alter(&mut self, lsn: Lsn, change: &SchemaChange) -> Result<(), PullError> {
        if !self.stored.has_table(change) {
            return Ok(());
        }
        self.quarantine.check_altered(lsn, change)?;
        self.target.alter(&self.settings.source, lsn, change).await?;
        self.noted.forget();
        self.altered = true;
        Ok(())
    }

    fn committed(&mut self, head: Lsn, met: &Conflicts) {
        let Some(open) = self.open.take() else { return };
        let applied = self.stored.position.lsn;
        self.progress.committed(applied, head);
        self.status.send_modify(|status| {
            status.applied = Some(applied);
            status.lineage = Some(self.stored.position.lineage);
            status.state = if applied >= head { TerminalState::Ok } else { TerminalState::Behind };
            status.error = None;
            status.transactions += open.transactions;
            status.changes += open.changes;
            status.met(met);
        });
        self.count_held();
        tell(met);
        let took = open.since.elapsed();
        if took > Duration::from_secs(30) {
            tracing::debug!(?took, changes = open.changes, "a long target transaction");
        }
    }
}

/// Says what changes did not meet their rows.
pub(super) fn tell(met: &Conflicts) {
    for ConflictCount { table, kind, count, last, last_key } in met.counts() {
        let what = match kind {
            ConflictKind::RowMissing => "updates or deletes found no row",
            ConflictKind::RowPresent => "rows came that were there already",
        };
        tracing::warn!(
            "{table}: {count} {what}, the last at {last} (key {last_key}): the source's rows are here now. Was the table changed at the target itself?"
        );
    }
}
