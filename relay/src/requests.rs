//! What is wanted of a source's capture. Kept in memory, each thing once: whoever asked asks again
//! after the relay was started anew.

use tokio::sync::watch;
use wire::{Lsn, Request};

use crate::log::Growth;

/// When the relay wants a snapshot by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SnapshotRule {
    /// Where the log since the newest one is larger than that, so many times: 1. Never at 0.
    pub factor: f64,
    /// And larger than so many bytes: 1 GiB.
    pub floor_bytes: u64,
}

impl Default for SnapshotRule {
    fn default() -> Self {
        Self { factor: 1.0, floor_bytes: 1 << 30 }
    }
}

impl SnapshotRule {
    /// Whether the log has outgrown its newest snapshot.
    pub(crate) fn is_outgrown(&self, growth: &Growth) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a comparison of sizes")]
        let (log, snapshot) = (growth.log as f64, growth.snapshot as f64);
        self.factor > 0.0 && growth.log > self.floor_bytes && log > snapshot * self.factor
    }
}

/// The requests of one source.
///
/// A request is not taken away by handing it out, but by being fulfilled: a capture that dies over it
/// leaves it to the next.
#[derive(Debug)]
pub(crate) struct Requests {
    /// A snapshot is wanted at this position or behind it.
    snapshot: watch::Sender<Option<Lsn>>,
}

impl Default for Requests {
    fn default() -> Self {
        Self { snapshot: watch::Sender::new(None) }
    }
}

impl Requests {
    /// Notes that a snapshot is wanted which has all that is before `from`. Whether that is more than was
    /// wanted: one that is wanted from there on already is the same.
    pub(crate) fn want_snapshot(&self, from: Lsn) -> bool {
        self.snapshot.send_if_modified(|wanted| {
            let more = *wanted < Some(from);
            if more {
                *wanted = Some(from);
            }
            more
        })
    }

    /// Whether a snapshot is wanted.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.snapshot.borrow().is_some()
    }

    /// A snapshot came.
    pub(crate) fn snapshot_came(&self, lsn: Lsn) {
        self.snapshot.send_if_modified(|wanted| {
            let fulfilled = wanted.is_some_and(|wanted| wanted <= lsn);
            if fulfilled {
                *wanted = None;
            }
            fulfilled
        });
    }

    /// What is wanted.
    pub(crate) fn wanted(&self) -> Vec<Request> {
        self.snapshot.borrow().iter().map(|_| Request::Snapshot).collect()
    }

    /// Tells of each change.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Lsn>> {
        self.snapshot.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_outgrows_a_snapshot_when_it_is_larger_and_large() {
        let outgrown = |factor, snapshot, log| {
            SnapshotRule { factor, floor_bytes: 100 }.is_outgrown(&Growth { snapshot, log })
        };
        assert!(!outgrown(1.0, 0, 100) && outgrown(1.0, 0, 101));
        assert!(!outgrown(1.0, 500, 500) && outgrown(1.0, 500, 501));
        assert!(!outgrown(2.5, 200, 500) && outgrown(2.5, 200, 501));
        assert!(!outgrown(0.0, 0, u64::MAX));
    }

    #[test]
    fn a_request_is_there_until_it_is_fulfilled() {
        let requests = Requests::default();
        assert_eq!(requests.wanted(), []);
        assert!(requests.want_snapshot(Lsn::new(20)));
        assert!(!requests.want_snapshot(Lsn::new(10)));
        assert_eq!(requests.wanted(), [Request::Snapshot], "twice is once");
        requests.snapshot_came(Lsn::new(19));
        assert_eq!(requests.wanted(), [Request::Snapshot], "that one is older than the request");
        requests.snapshot_came(Lsn::new(20));
        assert_eq!(requests.wanted(), []);
    }
}
