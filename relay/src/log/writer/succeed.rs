use std::{path::Path, sync::Arc};

use wire::Lineage;

use super::{job::Succeed, thread::Writer};
use crate::log::{
    catalog::{Catalog, Changes, SourceRecord},
    engine::{SledRecords, sync_folder},
    error::StoreError,
    head::HeadFile,
    place::{appoint, appointed, successor},
    random::random_bytes,
    refusal::Refusal,
};

impl Writer {
    /// Makes the log that succeeds this one, and appoints it. By this thread, so that nothing is
    /// acknowledged here once the other is the living one.
    pub(super) fn succeed(&mut self, request: Succeed) -> Result<Lineage, Refusal> {
        if let Some(damage) = &self.standing.damage {
            return Err(Refusal::Damaged(damage.clone()));
        }
        let Succeed { folder, succession, facts } = request;
        let (ours, theirs) = (self.standing.lineage, succession.lineage);
        if ours != theirs {
            return Err(Refusal::OtherLineage { ours, theirs });
        }
        let lineage = Lineage::from_bytes(random_bytes()?);
        let mut succeeds = self.record.succeeds.clone();
        succeeds.push(succession.clone());
        let record = SourceRecord {
            lineage,
            facts: facts.clone(),
            session: self.record.session,
            session_facts: facts,
            secret: wire::Hash::from_bytes(random_bytes()?),
            horizon: None,
            succeeds,
        };
        let made = successor(&folder, lineage);
        make(&made, &record, &self.shared.catalog)
            .and_then(|()| appoint(&folder, lineage))
            .inspect_err(|_| {
                if matches!(appointed(&folder), Ok(of) if of != Some(lineage)) {
                    // What stays is nobody's, and goes at the next start.
                    let _ = std::fs::remove_dir_all(&made);
                }
            })?;
        self.standing.succeeded = Some(Arc::new((lineage, succession.why)));
        self.publish(Vec::new());
        self.refuse_older_appends();
        sync_folder(&folder)?;
        Ok(lineage)
    }

    /// Refuses where another log has taken this one's place.
    pub(super) fn living(&self) -> Result<(), Refusal> {
        match &self.standing.succeeded {
            None => Ok(()),
            Some(by) => Err(Refusal::Unavailable(format!(
                "the log {} has taken this one's place: ask again",
                by.0
            ))),
        }
    }
}

/// An empty log, with the terminals and the capture that are known.
fn make(folder: &Path, record: &SourceRecord, old: &Catalog) -> Result<(), StoreError> {
    std::fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, error))?;
    HeadFile::create(&folder.join("HEAD"))?;
    let catalog = Catalog::new(Arc::new(SledRecords::open(&folder.join("catalog"))?));
    for (name, terminal) in old.terminals::<serde_json::Value>()? {
        let mut changes = Changes::new();
        changes.terminal(&name, &terminal)?;
        catalog.write(changes)?;
    }
    let mut changes = Changes::new();
    if let Some(capture) = old.capture::<serde_json::Value>()? {
        changes.capture(&capture)?;
    }
    changes.source(record)?;
    catalog.write(changes)
}
