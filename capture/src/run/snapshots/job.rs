use std::sync::Arc;

use wire::{Lineage, SnapshotMark};

use crate::{append::Relay, settings::Settings};

/// What a snapshot is taken of, and for whom.
#[derive(Debug)]
pub(in crate::run) struct SnapshotJob {
    pub(in crate::run) settings: Settings,
    pub(in crate::run) relay: Arc<Relay>,
    pub(in crate::run) lineage: Lineage,
    pub(in crate::run) session: u64,
    /// The newest that the relay has.
    pub(in crate::run) newest: Option<SnapshotMark>,
}
