use wire::{ChannelMap, ChannelName, ChannelSet, Lsn};

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

    /// The position that the target's data has, once its first load is complete.
    pub fn applied(&self) -> Option<Lsn> {
        (self.state == StoredState::Ready).then_some(self.position.lsn)
    }
}
