use std::collections::BTreeSet;

use wire::ChannelName;

/// The channels of a reader; `control` is always one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Channels {
    /// Every channel.
    All,
    /// These.
    Only(BTreeSet<ChannelName>),
}

impl Channels {
    /// Whether the reader gets this channel.
    pub(crate) fn keep(&self, channel: &ChannelName) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => channel.is_control() || names.contains(channel),
        }
    }
}
