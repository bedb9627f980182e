//! Rows that the stream lacks, because a table was rewritten or joined with rows in it: one target
//! transaction takes the terminal to exactly a snapshot that has them (decision 0025).

use std::sync::Arc;

use tokio::sync::watch;
use wire::{Lsn, Snapshot};

use super::{
    applier::tell, begin::snapshot_from, error::PullError, loading::Loading, settings::Settings,
    status::Status, until::Until,
};
use crate::{
    fetch::{SnapshotObjects, Spool},
    progress::Progress,
    target::{Stored, Target},
};

/// What it takes to get rows that the stream lacks.
pub(super) struct Refetch<'a, T> {
    pub(super) target: &'a mut T,
    pub(super) settings: &'a Arc<Settings>,
    pub(super) progress: &'a Progress,
    pub(super) spool: &'a Arc<Spool>,
    pub(super) status: &'a watch::Sender<Status>,
}

impl<T: Target> Refetch<'_, T> {
    /// Waits for a snapshot from the transaction on that `why` names, and takes the target there; with
    /// `why` where it does not come in time. The target is where its last commit left it, and stays
    /// there until the end of this.
    pub(super) async fn run(self, why: PullError) -> Result<Stored, PullError> {
        let PullError::RowsNeeded { lsn, table, .. } = &why else { return Err(why) };
        let Some(stored) = self.target.stored(&self.settings.source).await? else {
            return Err(why);
        };
        self.progress.say(&format!(
            "table {table}: its rows as of {lsn} are not in the stream: waiting for a snapshot from there on, which capture takes by itself"
        ));
        let found = snapshot_from(self.settings, stored.position.lineage, *lsn).await?;
        let Some(snapshot) = found else { return Err(why) };
        self.to(&snapshot, stored).await
    }

    /// Takes the target from where it stands to exactly a snapshot of its history, with what rows of that the
    /// stream lacks.
    pub(super) async fn to(self, snapshot: &Snapshot, stored: Stored) -> Result<Stored, PullError> {
        let Self { target, settings, progress, spool, status } = self;
        progress.say(&format!(
            "going from {} to the snapshot at {} in one transaction",
            stored.position.lsn, snapshot.lsn
        ));
        target.prepare(snapshot).await?;
        let mut until =
            Until::new(target, settings, progress, (snapshot.lsn, Some(snapshot)), stored);
        until.follow(spool, status).await?;
        until.check(snapshot)?;
        if !until.lacking.is_empty() {
            until.copy(snapshot.clone(), spool).await?;
        }
        until.commit(status).await
    }
}

/// Takes the target to right before a transaction that it cannot take, whatever was on its way with that.
pub(super) async fn approach<T: Target>(
    refetch: Refetch<'_, T>,
    before: Lsn,
) -> Result<Option<Stored>, PullError> {
    let Refetch { target, settings, progress, spool, status } = refetch;
    let stored = target.stored(&settings.source).await?;
    let Some(stored) = stored.filter(|stored| stored.position.lsn < before) else {
        return Ok(None);
    };
    let mut until = Until::new(target, settings, progress, (before, None), stored);
    until.follow(spool, status).await?;
    // Where it stops on the way to a snapshot, whose rows would be missing.
    if until.lacking.is_empty() { until.commit(status).await.map(Some) } else { Ok(None) }
}

impl<T: Target> Until<'_, T> {
    async fn copy(&mut self, mut snapshot: Snapshot, spool: &Arc<Spool>) -> Result<(), PullError> {
        snapshot.tables.retain(|table| self.lacking.contains_key(&table.oid));
        let has = |oid: &u32| snapshot.tables.iter().any(|table| table.oid == *oid);
        if let Some((_, table)) = self.lacking.iter().find(|(oid, _)| !has(oid)) {
            return Err(PullError::Snapshot {
                source_name: self.settings.source.clone(),
                lsn: snapshot.lsn,
                table: table.clone(),
                why: "its rows are not in it".into(),
            });
        }
        let bytes = snapshot.tables.iter().map(|table| table.raw_len).sum();
        self.progress.load_begins("rows of altered tables", 0, bytes);
        let (settings, channels) = (self.settings, &self.settings.channels);
        let mut objects =
            SnapshotObjects::start(&settings.relays, spool, &snapshot, channels, |_, _| false);
        let (target, progress) = (&mut *self.target, self.progress);
        Loading { settings, progress, snapshot: &snapshot }.within(target, &mut objects).await?;
        let rows: u64 = snapshot.tables.iter().map(|table| table.rows).sum();
        let names: Vec<&str> = self.lacking.values().map(String::as_str).collect();
        progress.say(&format!("{rows} rows of {} are in", names.join(", ")));
        Ok(())
    }

    async fn commit(self, status: &watch::Sender<Status>) -> Result<Stored, PullError> {
        let met = self.target.commit(&self.settings.source, &self.stored).await?;
        tell(&met);
        let position = &self.stored.position;
        status.send_modify(|status| {
            status.applied = Some(position.lsn);
            status.lineage = Some(position.lineage);
            status.error = None;
            status.transactions += self.transactions;
            status.changes += self.changes;
            status.met(&met);
        });
        Ok(self.stored)
    }
}
