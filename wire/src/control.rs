use serde::{Deserialize, Serialize};

use crate::{ChannelMap, Sequence};

/// The prefix of the logical messages by which capture itself speaks.
pub const CONTROL_PREFIX: &str = "tailwater";

/// What capture itself has to say, in a transactional logical message of prefix
/// [`CONTROL_PREFIX`], so that it has a place in the order of commits. JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ControlRecord {
    /// The channel map that is in force for the transactions after this one.
    Channels {
        /// The map.
        map: ChannelMap,
    },
    /// Nothing happened to the published tables, but WAL grew: a commit to know the master by.
    Heartbeat,
    /// Sequences that stand elsewhere than when they were told of last. They are read a little after they
    /// moved, so a row may be ahead of its sequence by a few seconds.
    Sequences {
        /// As they stand.
        sequences: Vec<Sequence>,
    },
}
