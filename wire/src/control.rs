use serde::{Deserialize, Serialize};

use crate::ChannelMap;

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
}
