use std::sync::Arc;

use wire::{ChannelName, Lineage, Lsn};

use super::{damage::Damage, error::StoreError};

/// Why the log does not do what capture asks.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// A newer session has taken over.
    #[error(
        "session {session} is not the newest of this source ({newest} is): another capture has taken over; stop this one, or start it again to take over in turn"
    )]
    Fenced {
        /// The session that asked.
        session: u64,
        /// The newest.
        newest: u64,
    },
    /// The slice does not begin where the log ends.
    #[error(
        "the slice ({after}, {through}] does not begin where the log ends, at {head}: open a session to learn the head, and go on from there"
    )]
    Gap {
        /// Where the log ends.
        head: Lsn,
        /// The slice's range.
        after: Lsn,
        /// The slice's range.
        through: Lsn,
    },
    /// There is no log to append to.
    #[error("the log has not begun: post the first snapshot, it begins the log at its position")]
    NotBegun,
    /// The slice's hashes do not continue the log's.
    #[error(
        "channel {channel} at {after}: the slice's hash before is not the log's hash: capture and log do not share this history; open a session to learn the log's hashes"
    )]
    Chain {
        /// The channel.
        channel: ChannelName,
        /// Where the slice begins.
        after: Lsn,
    },
    /// Another history.
    #[error("this log is of lineage {ours}, not of {theirs}")]
    OtherLineage {
        /// The log's.
        ours: Lineage,
        /// Theirs.
        theirs: Lineage,
    },
    /// Another master.
    #[error("{0}")]
    OtherMaster(String),
    /// The bytes are not what they should be.
    #[error("{0}")]
    Malformed(String),
    /// Acknowledged slices are lost.
    #[error("{}", .0.detail)]
    Damaged(Damage),
    /// The store failed.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// The log cannot take it now.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}
