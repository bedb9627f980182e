//! Applies the log in one target transaction, to exactly a position that need be no commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use wire::{
    Change, Definitions, Hash, JoinedTable, Lsn, Relation, SchemaChange, Snapshot, TableDefinition,
};

use super::{
    bundle::Bundle,
    decode::{Altered, BATCHES_AHEAD, Batch, Cut, decode},
    error::PullError,
    noted::Noted,
    quarantine::is_empty,
    settings::Settings,
    status::Status,
    trouble::Trouble,
};
use crate::{
    fetch::{PrefetchRequest, Prefetcher, Spool},
    position::Position,
    progress::Progress,
    range::{Place, RangeError, Relations},
    target::{Named, Operation, Stored, Target, TargetError},
};

/// Applies the log until a snapshot's position, in one target transaction.
pub(super) struct Until<'a, T> {
    pub(super) target: &'a mut T,
    pub(super) settings: &'a Arc<Settings>,
    pub(super) progress: &'a Progress,
    until: Lsn,
    /// It is there, and has the rows that the stream lacks.
    pub(super) snapshot: Option<&'a Snapshot>,
    pub(super) stored: Stored,
    relations: Option<Relations>,
    noted: Noted,
    /// Tables whose rows come from the snapshot, by OID: they have none until then.
    pub(super) lacking: BTreeMap<u32, String>,
    /// Tables that joined with rows that no snapshot has, and left again, by OID.
    passed: BTreeSet<u32>,
    pub(super) transactions: u64,
    pub(super) changes: u64,
}

impl<'a, T: Target> Until<'a, T> {
    /// From where the target stands, which is `stored`.
    pub(super) fn new(
        target: &'a mut T,
        settings: &'a Arc<Settings>,
        progress: &'a Progress,
        (until, snapshot): (Lsn, Option<&'a Snapshot>),
        stored: Stored,
    ) -> Self {
        Self {
            target,
            settings,
            progress,
            until,
            snapshot,
            stored,
            relations: None,
            noted: Noted::default(),
            lacking: BTreeMap::new(),
            passed: BTreeSet::new(),
            transactions: 0,
            changes: 0,
        }
    }

    pub(super) async fn follow(
        &mut self,
        spool: &Arc<Spool>,
        status: &watch::Sender<Status>,
    ) -> Result<(), PullError> {
        let settings = self.settings.clone();
        is_empty(self.target, &settings.source).await?;
        let request = PrefetchRequest {
            from: self.stored.position.clone(),
            channels: settings.channels.clone(),
            loaded: settings.channels.is_empty().then(|| self.stored.channel_set()),
            limit_bytes: settings.bounds.answer_bytes,
            wait: Duration::ZERO,
            report: status.borrow().with_pull(&settings.terminal),
        };
        let mut prefetcher = Prefetcher::start(&settings.relays, spool, request);
        let mut trouble = Trouble::new(settings.patience);
        self.target.begin().await?;
        while self.stored.position.lsn < self.until {
            let own = self.stored.position.clone();
            match Bundle::of_fetched(&settings, prefetcher.next().await?, own)? {
                (Some(bundle), _) => {
                    self.bundle(bundle).await?;
                    trouble.over();
                }
                (None, head) => {
                    let (relay, goal) = (settings.relays.in_use(), self.until);
                    trouble.pause(PullError::BehindGoal { relay, head, goal }).await?;
                }
            }
            prefetcher.report(status.borrow().with_pull(&settings.terminal));
        }
        Ok(())
    }

    async fn bundle(&mut self, bundle: Bundle) -> Result<(), PullError> {
        let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
        let mut relations = self.relations.take().unwrap_or_default();
        let source = self.settings.source.clone();
        let cut = Cut { until: Some(self.until), ..Cut::default() };
        let decoding = tokio::task::spawn_blocking(move || {
            let result = decode(&source, &bundle, &mut relations, cut, &sender);
            (relations, result)
        });
        while let Some(batch) = batches.recv().await {
            self.batch(batch).await?;
        }
        let (relations, result) =
            decoding.await.map_err(|error| PullError::Internal(error.to_string()))?;
        self.relations = Some(relations);
        result.map_err(|error| error.of(&self.settings.source))
    }

    async fn batch(&mut self, batch: Batch) -> Result<(), PullError> {
        for Altered { change, .. } in &batch.lacking {
            self.empty(change).await?;
        }
        let source = &self.settings.source;
        let mut operations = batch.operations;
        while !operations.is_empty() {
            let elsewhere = |oid| self.lacking.contains_key(&oid) || self.passed.contains(&oid);
            let mut next = self.noted.next(self.target, source, &mut operations, elsewhere).await?;
            next.retain(|operation| !self.is_elsewhere(operation));
            if !next.is_empty() {
                self.changes += next.len() as u64;
                self.progress.changes(next.len() as u64);
                self.target.apply(next).await?;
            }
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
        if let Some((lsn, table)) = batch.joined {
            self.join(lsn, &table).await?;
        }
        self.transactions += batch.transactions;
        if let Some(boundary) = batch.boundary {
            self.target.settle(source).await?;
            self.stored.position = boundary;
        }
        Ok(())
    }

    /// Whether it is a change of a row that comes from the snapshot as it is then, or of a table that is not
    /// there any more. A TRUNCATE is applied: it finds nothing, and tables that refer to each other can only be
    /// truncated together.
    fn is_elsewhere(&self, operation: &Operation) -> bool {
        let passed = |of: &Arc<Relation>| self.passed.contains(&of.oid);
        match &operation.change {
            Change::Insert { relation, .. }
            | Change::Update { relation, .. }
            | Change::Delete { relation, .. } => {
                self.lacking.contains_key(&relation.oid) || passed(relation)
            }
            Change::Truncate { .. } => operation.change.relations().iter().all(passed),
            Change::Message { .. } => false,
        }
    }

    /// From here on the table's rows are the snapshot's; one that is not there yet has none.
    async fn empty(&mut self, change: &SchemaChange) -> Result<(), PullError> {
        let was = change.before.as_ref().and_then(|of| of.tables.first());
        let ours = self.stored.has_table(change);
        let Some(was) = was.filter(|_| ours) else { return Ok(()) };
        if self.lacking.insert(change.oid, was.to_string()).is_none() {
            self.target.empty(&self.settings.source, &named(was)).await?;
        }
        Ok(())
    }

    async fn alter(&mut self, lsn: Lsn, change: &SchemaChange) -> Result<(), PullError> {
        if !self.stored.has_table(change) {
            return Ok(());
        }
        let source = &self.settings.source;
        let was = change.before.as_ref().and_then(|of| of.tables.first());
        let is = change.after.as_ref().and_then(|of| of.tables.first());
        match (was, is) {
            (_, None) => {
                if let Some(table) = self.lacking.remove(&change.oid).filter(|_| !change.dropped) {
                    tracing::warn!(%lsn, "{table} left the publication after it was rewritten: it has no rows here now");
                }
            }
            (Some(_), Some(_)) if change.rows_needed => self.empty(change).await?,
            (None, Some(is)) if change.rows_needed => {
                self.has_no_own_rows(is).await?;
                self.lacking.insert(change.oid, is.to_string());
                // It may have been published before.
                self.target.empty(&self.settings.source, &named(is)).await?;
            }
            _ => {}
        }
        self.target.alter(source, lsn, change).await?;
        if let (true, None, Some(is)) = (change.rows_needed, was, is) {
            // A reload from an earlier snapshot knows by this that it joined behind it.
            self.target.note_tables(source, &[(named(is), lsn)]).await?;
        }
        self.noted.forget();
        Ok(())
    }

    /// Without `--ddl` a record tells only which table joined; what it is like, the snapshot does.
    async fn join(&mut self, lsn: Lsn, table: &JoinedTable) -> Result<(), PullError> {
        if !self.stored.has_joined(table) {
            return Ok(());
        }
        let Some(snapshot) = self.snapshot else {
            let why = format!("{table} joins at {lsn}, and there is no snapshot to take it from");
            return Err(PullError::Internal(why));
        };
        let has_rows = snapshot.tables.iter().any(|of| of.oid == table.oid);
        let of = &snapshot.definitions;
        let definition = of.tables.iter().find(|of| of.oid == table.oid && has_rows);
        let Some(definition) = definition else {
            tracing::warn!(%lsn, "{table} joined, and is not in the snapshot at {}: it left since", snapshot.lsn);
            self.passed.insert(table.oid);
            return Ok(());
        };
        let its = |column: &(String, String, String)| {
            let (schema, name, _) = column;
            (schema, name) == (&definition.schema, &definition.name)
        };
        let after = Definitions {
            tables: vec![definition.clone()],
            sequences: of.sequences.iter().filter(|of| its(&of.column)).cloned().collect(),
            ..of.clone()
        };
        let (oid, after) = (table.oid, Some(after));
        let change = SchemaChange { oid, before: None, after, dropped: false, rows_needed: true };
        self.alter(lsn, &change).await
    }

    /// What a table of that name holds must have come from the source: it is removed.
    async fn has_no_own_rows(&mut self, table: &TableDefinition) -> Result<(), PullError> {
        let was_published = self.stored.channel_map.tables.contains_key(&table.oid);
        let source = &self.settings.source;
        if was_published || !self.target.has_own_rows(source, &named(table)).await? {
            return Ok(());
        }
        Err(TargetError::Table {
            target: self.target.name().to_owned(),
            table: table.to_string(),
            why: "it joins the publication with rows in it, and the table of that name here has rows of its own".into(),
            advice: "remove them if they may go, or rename the table; then pull again".into(),
        }
        .into())
    }

    /// The history applied here must be the one that the snapshot belongs to.
    pub(super) fn check(&self, snapshot: &Snapshot) -> Result<(), PullError> {
        let Position { lineage, lsn, hashes, .. } = &self.stored.position;
        for (channel, own) in hashes.iter() {
            let (own, found): (Hash, Hash) = (own, snapshot.hashes.get(*lineage, channel));
            if own != found {
                let source = self.settings.source.clone();
                let place = Place { source, channel: channel.clone(), lsn: *lsn };
                return Err(RangeError::Fork { place, own, found }.into());
            }
        }
        Ok(())
    }
}

fn named(table: &TableDefinition) -> Named {
    Named::new(&table.schema, &table.name)
}
