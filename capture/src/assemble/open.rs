use wire::{ChannelMap, Lsn, TransactionEncoder, TransactionHeader};

use super::{history::Treatment, huge::Parts};

/// A transaction whose COMMIT has not come.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) start: Lsn,
    pub(super) xid: u32,
    pub(super) time_us: i64,
    pub(super) treatment: Treatment,
    pub(super) changes: u64,
    pub(super) encoder: TransactionEncoder,
    pub(super) parts: Parts,
    pub(super) map: Option<ChannelMap>,
}

impl Open {
    pub(super) fn new(start: Lsn, xid: u32, time_us: i64, treatment: Treatment) -> Self {
        let encoder = TransactionEncoder::new(TransactionHeader { xid, commit_time_us: time_us });
        let parts = Parts::default();
        Self { start, xid, time_us, treatment, changes: 0, encoder, parts, map: None }
    }
}
