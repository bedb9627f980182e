use wire::{ChannelName, Lineage, Lsn};

use crate::log::{damage::Damage, error::StoreError, standing::Standing};

/// Why a pull is not answered with data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The log has not begun.
    #[error(
        "the log has not begun: its first copy of the master is under way; try again in a while"
    )]
    NotBegun,
    /// Another history.
    #[error(
        "this log is of lineage {ours}, the terminal follows {theirs}: positions of one mean nothing in the other. Pull from a relay of {theirs}, or load the terminal anew"
    )]
    OtherLineage {
        /// The log's.
        ours: Lineage,
        /// The terminal's.
        theirs: Lineage,
    },
    /// The terminal's history ended.
    #[error(
        "the source's history begins anew: lineage {theirs} ended and {ours} succeeds it ({why})"
    )]
    Succeeded {
        /// The living log's.
        ours: Lineage,
        /// The terminal's.
        theirs: Lineage,
        /// Why it ended.
        why: String,
    },
    /// The same lineage, but not the same changes.
    #[error(
        "channel {channel} at {lsn}: the terminal's hash is not the log's: it holds another history than this relay"
    )]
    OtherHistory {
        /// The channel.
        channel: ChannelName,
        /// The position.
        lsn: Lsn,
    },
    /// The terminal has more than this relay.
    #[error(
        "the terminal is at {after}, this relay at {head}: ask another relay, or this one again later"
    )]
    BehindYou {
        /// The terminal's position.
        after: Lsn,
        /// The log's head.
        head: Lsn,
    },
    /// Below the horizon.
    #[error(
        "{after} is below the horizon {horizon}: what follows it is no longer kept; load the newest snapshot"
    )]
    Expired {
        /// The terminal's position.
        after: Lsn,
        /// The log's.
        horizon: Lsn,
    },
    /// What was asked for is lost.
    #[error("{}", .0.detail)]
    Damaged(Damage),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReadError {
    /// For a terminal of a lineage that is not the log's.
    pub(crate) fn of_lineage(standing: &Standing, theirs: Lineage) -> Self {
        let ours = standing.lineage;
        match standing.succeeds.iter().find(|of| of.lineage == theirs) {
            Some(of) => Self::Succeeded { ours, theirs, why: of.why.clone() },
            None => Self::OtherLineage { ours, theirs },
        }
    }
}
