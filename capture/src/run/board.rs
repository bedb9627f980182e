use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;
use wire::{CaptureState, CopyProgress, Lsn};

use super::health::{Look, Severity, Watch};
use crate::{append::Relay, begin::SlotFacts};

/// How capture is, for the reports to the relay.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) state: CaptureState,
    pub(super) error: Option<String>,
    pub(super) session: u64,
    pub(super) relay: Option<Arc<Relay>>,
    pub(super) master: Option<Lsn>,
    pub(super) slot: Option<SlotStatus>,
    /// How far a copy is that is under way.
    pub(super) copy: Option<CopyProgress>,
}

/// The slot, as the master last showed it.
#[derive(Debug, Clone)]
pub(super) struct SlotStatus {
    pub(super) retained_bytes: u64,
    /// WAL that may be written before some of that is dropped.
    pub(super) room_bytes: Option<u64>,
    /// Until then at the present rate.
    pub(super) left: Option<Duration>,
    /// What threatens it.
    pub(super) warning: Option<String>,
}

/// A copy under way.
#[derive(Debug)]
pub(super) struct Copying {
    board: Board,
}

impl Copying {
    /// How far it is. It is in the next report, and wakes nobody.
    pub(super) fn told(&self, progress: CopyProgress) {
        self.note(Some(progress));
    }

    fn note(&self, progress: Option<CopyProgress>) {
        self.board.status.send_if_modified(|status| {
            status.copy = progress;
            false
        });
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.note(None);
    }
}

/// Where each part of capture notes how it is.
#[derive(Debug, Clone)]
pub(super) struct Board {
    status: Arc<watch::Sender<Status>>,
    slot_watch: Arc<Mutex<Watch>>,
}

impl Board {
    pub(super) fn new() -> Self {
        let state = CaptureState::Starting;
        let (error, session, relay, master, slot, copy) = (None, 0, None, None, None, None);
        let status = Status { state, error, session, relay, master, slot, copy };
        Self { status: Arc::new(watch::Sender::new(status)), slot_watch: Arc::default() }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(super) fn now(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The state, with what is wrong if anything is. Who watches is woken only by a change.
    pub(super) fn state(&self, state: CaptureState, error: Option<String>) {
        self.status.send_if_modified(|status| {
            let changed = status.state != state || status.error != error;
            status.state = state;
            status.error = error;
            changed
        });
    }

    pub(super) fn session(&self, relay: Arc<Relay>, session: u64) {
        self.status.send_modify(|status| {
            status.relay = Some(relay);
            status.session = session;
        });
    }

    /// A copy is under way until what is returned goes.
    pub(super) fn copying(&self) -> Copying {
        Copying { board: self.clone() }
    }

    /// The master's position and its slot. What threatens the slot is said once, and wakes who watches;
    /// all else is in the next report.
    pub(super) fn master(&self, position: Lsn, slot: Option<&SlotFacts>) {
        let seen = slot.filter(|slot| slot.lost().is_none()).map(|slot| {
            let look = Look::new(Instant::now(), position, slot);
            let mut watch = self.slot_watch.lock().unwrap_or_else(PoisonError::into_inner);
            (look, watch.see(look))
        });
        let (slot, changed) = match seen {
            None => (None, false),
            Some((look, (health, changed))) => {
                match health.severity {
                    _ if !changed => {}
                    Severity::Fine => tracing::info!("{health}"),
                    Severity::Warning => tracing::warn!("{health}"),
                    Severity::Critical | Severity::Due => tracing::error!("{health}"),
                }
                let status = SlotStatus {
                    retained_bytes: look.retained,
                    room_bytes: look.room,
                    left: health.left,
                    warning: (health.severity > Severity::Fine).then(|| health.to_string()),
                };
                (Some(status), changed)
            }
        };
        self.status.send_if_modified(|status| {
            status.master = Some(position);
            status.slot = slot;
            changed
        });
    }
}
