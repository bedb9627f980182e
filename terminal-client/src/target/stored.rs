use wire::{ChannelMap, ChannelName, ChannelSet, JoinedTable, Lsn, SchemaChange};

use crate::position::Position;

/// What a target remembers of a source, in the same transactions as its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands; while loading, where the snapshot stands.
    pub position: Position,
    /// Whether its first load is complete.
    pub state: StoredState,
    /// The channels it was loaded with; none for all that there are.
    pub channels: Option<Vec<ChannelName>>,
    /// The channel map in force at the position.
    pub channel_map: ChannelMap,
}

/// Whether the first load is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredState {
    /// It is under way, or was interrupted.
    Loading,
    /// It is complete.
    Ready,
}

impl StoredState {
    /// The word in the position row.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Ready => "ready",
        }
    }

    /// From the word in the position row.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Loading, Self::Ready].into_iter().find(|state| state.word() == word)
    }
}

impl Stored {
    /// The channels it was loaded with.
    pub fn channel_set(&self) -> ChannelSet {
        ChannelSet::of(self.channels.as_ref())
    }

    /// Whether a schema change is one of a table that the target has: they go to everyone, and it may have the
    /// tables of some channels only.
    pub fn has_table(&self, change: &SchemaChange) -> bool {
        let table = change.table();
        table.is_some_and(|of| self.has(&self.channel_map.channel(of.oid, &of.schema, &of.name)))
    }

    /// Whether a table that joins is one of the target's.
    pub fn has_joined(&self, table: &JoinedTable) -> bool {
        self.has(&self.channel_map.channel(table.oid, &table.schema, &table.name))
    }

    fn has(&self, channel: &ChannelName) -> bool {
        self.channels.as_ref().is_none_or(|channels| channels.contains(channel))
    }

    /// The position that the target's data has, once its first load is complete.
    pub fn applied(&self) -> Option<Lsn> {
        (self.state == StoredState::Ready).then_some(self.position.lsn)
    }
}
