use wire::{Facts, Lineage, Lsn, SessionAnswer, SessionRequest, Snapshot, SnapshotMark};

use super::thread::Writer;
use crate::log::{
    catalog::{Changes, ClosedState, SourceRecord},
    error::StoreError,
    orphans::{Occasion, drop_orphans},
    random::random_bytes,
    refusal::Refusal,
    snapshots::drop_surplus,
};

fn same_master(a: &Facts, b: &Facts) -> bool {
    a.system_identifier == b.system_identifier && a.database_oid == b.database_oid
}

impl Writer {
    /// Opens the next session; older ones are fenced from then on.
    pub(super) fn open_session(
        &mut self,
        request: &SessionRequest,
    ) -> Result<SessionAnswer, Refusal> {
        if let Some(damage) = &self.standing.damage {
            return Err(Refusal::Damaged(damage.clone()));
        }
        let mut record = self.record.clone();
        if self.standing.head.is_some() {
            check_master(&record, &request.facts)?;
        } else if request.begin {
            // Nothing was captured yet, so another master does no harm, but it is another history.
            if !same_master(&record.facts, &request.facts) {
                record.lineage = Lineage::from_bytes(random_bytes()?);
            }
            record.facts = request.facts.clone();
        }
        record.session += 1;
        record.session_facts = request.facts.clone();
        self.save(record)?;
        self.publish(Vec::new());
        self.refuse_older_appends();
        self.sweep(Occasion::Session);
        let snapshot = self.newest_snapshot().unwrap_or_else(|error| {
            tracing::warn!(%error, "the newest snapshot cannot be read");
            None
        });
        let standing = &self.standing;
        Ok(SessionAnswer {
            session: standing.session,
            lineage: Some(standing.lineage),
            head: standing.head,
            horizon: standing.horizon,
            hashes: standing.hashes.clone(),
            channel_map: standing.channel_map.clone(),
            known: standing.known,
            facts: Some(standing.facts.clone()),
            snapshot,
            succeeds: standing.succeeded_lineages(),
        })
    }

    fn newest_snapshot(&self) -> Result<Option<SnapshotMark>, StoreError> {
        let catalog = &self.shared.catalog;
        let newest = catalog.snapshot_positions()?.pop();
        let newest = newest.map(|lsn| catalog.snapshot(lsn)).transpose()?.flatten();
        Ok(newest.map(|snapshot| snapshot.mark()))
    }

    fn save(&mut self, record: SourceRecord) -> Result<(), Refusal> {
        let mut changes = Changes::new();
        changes.source(&record)?;
        if let Err(error) = self.shared.catalog.write(changes) {
            return Err(self.fail(error));
        }
        self.standing.session = record.session;
        self.standing.lineage = record.lineage;
        self.standing.facts = record.facts.clone();
        self.record = record;
        Ok(())
    }

    pub(super) fn refuse_older_appends(&mut self) {
        for append in self.turns.take() {
            let (session, newest) = (append.session, self.standing.session);
            let _ = append.reply.send(Err(Refusal::Fenced { session, newest }));
        }
    }

    fn sweep(&self, occasion: Occasion) {
        let shared = &self.shared;
        let result = drop_orphans(
            &shared.catalog,
            &*shared.tail,
            &*shared.objects,
            &self.standing,
            occasion,
        );
        match result {
            Ok(0) => {}
            Ok(removed) => {
                tracing::info!(removed, "dropped objects that no capture will finish");
            }
            // They only take room; the next session or snapshot tries again.
            Err(error) => tracing::warn!(%error, "objects of earlier sessions cannot be dropped"),
        }
    }

    /// Adds a snapshot whose objects are here; the first one begins the log.
    pub(super) fn add_snapshot(
        &mut self,
        session: u64,
        snapshot: &Snapshot,
    ) -> Result<(), Refusal> {
        self.standing.check_session(session)?;
        if let Some(damage) = &self.standing.damage {
            return Err(Refusal::Damaged(damage.clone()));
        }
        if snapshot.lineage != self.standing.lineage {
            let ours = self.standing.lineage;
            return Err(Refusal::OtherLineage { ours, theirs: snapshot.lineage });
        }
        self.check_snapshot(snapshot)?;
        let mut changes = Changes::new();
        changes.snapshot(snapshot)?;
        if let Some(head) = self.standing.head {
            self.shared.catalog.write(changes).map_err(|error| self.fail(error))?;
            self.drop_older_snapshots(head);
            return Ok(());
        }
        self.begin_log(snapshot, changes).map_err(|error| self.fail(error))?;
        self.publish(Vec::new());
        Ok(())
    }

    fn drop_older_snapshots(&self, head: Lsn) {
        match drop_surplus(&self.shared.catalog, head, &self.shared.fetched) {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(dropped, "older snapshots are no longer offered"),
            // They only take room; the next snapshot tries again.
            Err(error) => tracing::warn!(%error, "older snapshots cannot be dropped"),
        }
        self.sweep(Occasion::Snapshot);
    }

    fn check_snapshot(&self, snapshot: &Snapshot) -> Result<(), Refusal> {
        if snapshot.lsn == Lsn::ZERO {
            return Err(Refusal::Malformed("a snapshot at 0/0 is at no position".into()));
        }
        if self.standing.horizon.is_some_and(|horizon| snapshot.lsn < horizon) {
            return Err(Refusal::Malformed(format!(
                "the snapshot at {} is below the horizon of the log; take a new one",
                snapshot.lsn
            )));
        }
        for table in &snapshot.tables {
            for object in &table.objects {
                if self.shared.objects.len(object.name)? != Some(object.len) {
                    return Err(Refusal::Malformed(format!(
                        "the snapshot names object {} of {} bytes for table {}.{}, which is not here: upload it first",
                        object.name, object.len, table.schema, table.name
                    )));
                }
            }
        }
        Ok(())
    }

    fn begin_log(&mut self, snapshot: &Snapshot, mut changes: Changes) -> Result<(), StoreError> {
        let mut record = self.record.clone();
        record.horizon = Some(snapshot.lsn);
        changes.source(&record)?;
        changes.closed(&ClosedState {
            through: snapshot.lsn,
            hashes: snapshot.hashes.clone(),
            channel_map: Some(snapshot.channel_map.clone()),
            known: None,
        })?;
        self.shared.catalog.write(changes)?;
        self.record = record;
        self.standing.head = Some(snapshot.lsn);
        self.standing.horizon = Some(snapshot.lsn);
        self.standing.hashes = snapshot.hashes.clone();
        self.standing.channel_map = Some(snapshot.channel_map.clone());
        self.write_head()
    }
}

fn check_master(record: &SourceRecord, facts: &Facts) -> Result<(), Refusal> {
    if same_master(&record.facts, facts) {
        return Ok(());
    }
    let ours = &record.facts;
    Err(Refusal::OtherMaster(format!(
        "this source is system {}, database {} (OID {}); what asks is system {}, database {} (OID {}): \
         it is another database. Capture it under another name, or let its history take the place of the one that is here: `tailwater-capture adopt`",
        ours.system_identifier,
        ours.database,
        ours.database_oid,
        facts.system_identifier,
        facts.database,
        facts.database_oid
    )))
}
