use std::path::PathBuf;

use tokio::sync::oneshot;
use wire::{Facts, Lineage, Lsn, SessionAnswer, SessionRequest, Slice, Snapshot, Succession};

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
    /// Let another log take this one's place.
    Succeed { request: Box<Succeed>, reply: Reply<Lineage> },
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

/// What is to take a log's place.
#[derive(Debug)]
pub(crate) struct Succeed {
    /// The source's folder.
    pub(crate) folder: PathBuf,
    /// Which history ends, and why.
    pub(crate) succession: Succession,
    /// The master whose history comes.
    pub(crate) facts: Facts,
}
