use std::sync::Arc;

use tokio::sync::watch;
use wire::{Lineage, Lsn, SnapshotMark};

use crate::{append::Relay, run::board::Board, settings::Settings};

/// What a snapshot is taken of, and for whom.
#[derive(Debug)]
pub(in crate::run) struct SnapshotJob {
    pub(in crate::run) settings: Settings,
    pub(in crate::run) board: Board,
    pub(in crate::run) relay: Arc<Relay>,
    pub(in crate::run) lineage: Lineage,
    pub(in crate::run) session: u64,
    /// Beyond this a table's rows are not in the stream, and a snapshot from there on is needed.
    pub(in crate::run) needed: watch::Receiver<Lsn>,
    /// The newest that the relay has.
    pub(in crate::run) newest: Option<SnapshotMark>,
}
