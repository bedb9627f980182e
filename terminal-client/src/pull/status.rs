use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use wire::{Divergence, Lineage, Lsn, TerminalName, TerminalReport, TerminalState};

use super::settings::Settings;
use crate::{
    fetch::PullReport,
    target::{ConflictKind, Conflicts},
};

/// Where a long load or a long catch-up would otherwise say nothing, the status is told this often.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// How long the last word may take.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What this run has done so far, as it is reported to the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) lineage: Option<Lineage>,
    pub(super) applied: Option<Lsn>,
    pub(super) state: TerminalState,
    pub(super) error: Option<String>,
    pub(super) transactions: u64,
    pub(super) changes: u64,
    /// None until the target was asked.
    pub(super) divergence: Option<Divergence>,
}

impl Status {
    pub(super) fn new() -> Self {
        Self {
            lineage: None,
            applied: None,
            state: TerminalState::Loading,
            error: None,
            transactions: 0,
            changes: 0,
            divergence: None,
        }
    }

    /// Adds what a transaction met.
    pub(super) fn met(&mut self, met: &Conflicts) {
        let divergence = self.divergence.get_or_insert_default();
        divergence.row_missing += met.total(ConflictKind::RowMissing);
        divergence.row_present += met.total(ConflictKind::RowPresent);
    }

    /// What travels with a pull.
    pub(super) fn with_pull(&self, terminal: &TerminalName) -> PullReport {
        PullReport {
            terminal: Some(terminal.clone()),
            applied: self.applied,
            state: Some(self.state),
            error: self.error.clone(),
        }
    }

    fn report(&self, terminal: &TerminalName) -> TerminalReport {
        TerminalReport {
            terminal: terminal.clone(),
            lineage: self.lineage,
            applied: self.applied,
            state: self.state,
            error: self.error.clone(),
            transactions: self.transactions,
            changes: self.changes,
            divergence: self.divergence,
        }
    }
}

/// Tells the relay the status every now and then, until dropped.
pub(super) async fn keep_telling(settings: Arc<Settings>, status: watch::Receiver<Status>) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        let now = status.borrow().clone();
        tell(&settings, &now).await;
    }
}

/// The last word of a run. Its failure changes nothing: the next pull tells it again.
pub(super) async fn last_word(settings: &Settings, status: &Status) {
    if tokio::time::timeout(LAST_WORD, tell(settings, status)).await.is_err() {
        tracing::debug!("the last report took too long");
    }
}

async fn tell(settings: &Settings, status: &Status) {
    if let Err(error) = settings.relays.report(&status.report(&settings.terminal)).await {
        tracing::debug!(%error, "a report was not taken");
    }
}
