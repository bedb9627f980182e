use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Change, ChannelMap, Sequence};

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
    /// A table was published with rows in it. They, and whatever changed in it before this transaction, come
    /// only with a snapshot from here on.
    Joined {
        /// The table.
        table: JoinedTable,
    },
    /// Sequences that stand elsewhere than when they were told of last. They are read a little after they
    /// moved, so a row may be ahead of its sequence by a few seconds.
    Sequences {
        /// As they stand.
        sequences: Vec<Sequence>,
    },
}

/// A table by what a channel map goes by. Anyone may write such a message: it says of a table only that
/// its rows are to be taken from a snapshot, and whatever that says of it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedTable {
    /// Its OID on the master.
    pub oid: u32,
    /// Its schema then.
    pub schema: String,
    /// Its name then.
    pub name: String,
}

impl JoinedTable {
    /// The table that a change tells of, if it is such a record.
    pub fn of<R>(change: &Change<R>) -> Option<Self> {
        let Change::Message { prefix, content, transactional: true } = change else { return None };
        Self::told(prefix, content)
    }

    /// The table that a transactional message tells of, if it is such a record.
    pub fn told(prefix: &str, content: &[u8]) -> Option<Self> {
        if prefix != CONTROL_PREFIX {
            return None;
        }
        match serde_json::from_slice(content) {
            Ok(ControlRecord::Joined { table }) => Some(table),
            _ => None,
        }
    }
}

impl fmt::Display for JoinedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}
