use std::sync::Arc;

use tokio::sync::watch;
use wire::{CaptureState, Lsn};

use crate::append::Relay;

/// How capture is, for the reports to the relay.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) state: CaptureState,
    pub(super) error: Option<String>,
    pub(super) session: u64,
    pub(super) relay: Option<Arc<Relay>>,
    pub(super) master: Option<Lsn>,
    pub(super) retained_bytes: Option<u64>,
}

/// Where each part of capture notes how it is.
#[derive(Debug, Clone)]
pub(super) struct Board(Arc<watch::Sender<Status>>);

impl Board {
    pub(super) fn new() -> Self {
        let state = CaptureState::Starting;
        let (error, session, relay, master, retained_bytes) = (None, 0, None, None, None);
        let status = Status { state, error, session, relay, master, retained_bytes };
        Self(Arc::new(watch::Sender::new(status)))
    }

    pub(super) fn watch(&self) -> watch::Receiver<Status> {
        self.0.subscribe()
    }

    pub(super) fn now(&self) -> Status {
        self.0.borrow().clone()
    }

    /// The state, with what is wrong if anything is. Who watches is woken only by a change.
    pub(super) fn state(&self, state: CaptureState, error: Option<String>) {
        self.0.send_if_modified(|status| {
            let changed = status.state != state || status.error != error;
            status.state = state;
            status.error = error;
            changed
        });
    }

    pub(super) fn session(&self, relay: Arc<Relay>, session: u64) {
        self.0.send_modify(|status| {
            status.relay = Some(relay);
            status.session = session;
        });
    }

    /// The master's position and the WAL that the slot holds back. Wakes nobody: it is in the next report.
    pub(super) fn master(&self, position: Lsn, retained_bytes: Option<u64>) {
        self.0.send_if_modified(|status| {
            status.master = Some(position);
            status.retained_bytes = retained_bytes;
            false
        });
    }
}
