use tokio::sync::oneshot;
use wire::{Lsn, SessionAnswer, SessionRequest, Slice, Snapshot};

use crate::log::refusal::Refusal;

/// Where an answer goes; whoever asked may have gone away.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Add a slice, whose checksums were found right.
    Append(Box<Append>),
    /// Open a session.
    Session { request: Box<SessionRequest>, reply: Reply<SessionAnswer> },
    /// Add a snapshot; the first begins the log.
    Snapshot { session: u64, snapshot: Box<Snapshot>, reply: Reply<()> },
    /// Finish what was asked before, then end.
    Stop,
}

/// A slice to add.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) session: u64,
    pub(crate) slice: Slice,
    pub(crate) reply: Reply<Lsn>,
}
