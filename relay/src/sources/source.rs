use std::sync::{Mutex, MutexGuard, PoisonError};

use wire::{SourceName, TerminalName};

use crate::{
    fleet::{Fleet, TerminalRecord},
    log::{Changes, Growth, Log, StoreError},
    requests::{Requests, SnapshotRule},
};

/// A source that is served.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name.
    pub name: SourceName,
    /// Its log.
    pub log: Log,
    /// What is wanted of its capture.
    pub requests: Requests,
    fleet: Mutex<Fleet>,
    /// Held from taking what is unsaved until it is written, so that a terminal which is forgotten
    /// meanwhile does not come back.
    saving: Mutex<()>,
}

impl Source {
    pub(super) fn new(name: SourceName, log: Log, fleet: Fleet) -> Self {
        let (fleet, saving) = (Mutex::new(fleet), Mutex::default());
        Self { name, log, requests: Requests::default(), fleet, saving }
    }

    /// Its terminals and its capture.
    pub(crate) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a terminal; `false` where it is not known. Blocks.
    pub(crate) fn forget(&self, name: &TerminalName) -> Result<bool, StoreError> {
        let known = self.fleet().forget(name);
        self.save().map(|()| known)
    }

    /// Wants a snapshot where the log has outgrown the newest, unless one is wanted already. Blocks.
    pub(crate) fn want_snapshot_by(&self, rule: &SnapshotRule) -> Result<(), StoreError> {
        if rule.factor <= 0.0 || self.requests.wants_snapshot() {
            return Ok(());
        }
        let growth = self.log.growth()?.filter(|growth| rule.is_outgrown(growth));
        if let (Some(Growth { snapshot, log }), Some(head)) = (growth, self.log.standing().head) {
            self.requests.want_snapshot(head);
            tracing::info!(source = %self.name, %head, snapshot_bytes = snapshot, log_bytes = log,
                "the log has outgrown its newest snapshot: a new one is wanted of capture");
        }
        Ok(())
    }

    /// Writes down what was heard since the last time. Blocks.
    pub(crate) fn save(&self) -> Result<(), StoreError> {
        let _one = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let terminals = self.fleet().take_unsaved();
        self.save_terminals(&terminals).inspect_err(|_| {
            let names = terminals.iter().map(|(name, _)| name.clone());
            self.fleet().keep_unsaved(names);
        })?;
        let capture = self.fleet().take_unsaved_capture();
        let Some(capture) = capture else { return Ok(()) };
        let mut changes = Changes::new();
        changes.capture(&capture)?;
        self.log.catalog().write(changes)
    }

    fn save_terminals(
        &self,
        terminals: &[(TerminalName, Option<TerminalRecord>)],
    ) -> Result<(), StoreError> {
        for batch in terminals.chunks(SAVED_AT_ONCE) {
            let mut changes = Changes::new();
            for (name, record) in batch {
                match record {
                    Some(record) => changes.terminal(name, record)?,
                    None => changes.forget_terminal(name),
                }
            }
            self.log.catalog().write(changes)?;
        }
        Ok(())
    }
}

/// Terminals' records in one batch.
const SAVED_AT_ONCE: usize = 256;
