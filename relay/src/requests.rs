//! What is wanted of a source's capture. Kept in memory, each thing once: whoever asked asks again
//! after the relay was started anew.

use tokio::sync::watch;
use wire::{Lsn, Request};

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
    /// Notes that a snapshot is wanted which has all that is before `head`.
    pub(crate) fn want_snapshot(&self, head: Lsn) {
        self.snapshot.send_modify(|wanted| *wanted = Some(head).max(*wanted));
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
    fn a_request_is_there_until_it_is_fulfilled() {
        let requests = Requests::default();
        assert_eq!(requests.wanted(), []);
        requests.want_snapshot(Lsn::new(20));
        requests.want_snapshot(Lsn::new(10));
        assert_eq!(requests.wanted(), [Request::Snapshot], "twice is once");
        requests.snapshot_came(Lsn::new(19));
        assert_eq!(requests.wanted(), [Request::Snapshot], "that one is older than the request");
        requests.snapshot_came(Lsn::new(20));
        assert_eq!(requests.wanted(), []);
    }
}
