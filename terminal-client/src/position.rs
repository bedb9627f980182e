use wire::{ChannelHashes, ChannelName, Hash, Lineage, Lsn};

/// Where a reader stands in a history: everything up to `lsn`, proved by the running hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The history.
    pub lineage: Lineage,
    /// Every commit whose end is at or before this is in, no other.
    pub lsn: Lsn,
    /// The channels' running hashes there.
    pub hashes: ChannelHashes,
    /// Whether a channel that has no hash here yet takes the one that its first range claims. For
    /// readers that keep no data (`tail`); a terminal never does.
    pub trusting: bool,
}

impl Position {
    /// A position whose hashes are all known.
    pub fn proved(lineage: Lineage, lsn: Lsn, hashes: ChannelHashes) -> Self {
        Self { lineage, lsn, hashes, trusting: false }
    }

    /// A position that takes the history's word for what was before.
    pub fn trusting(lineage: Lineage, lsn: Lsn) -> Self {
        Self { lineage, lsn, hashes: ChannelHashes::default(), trusting: true }
    }

    /// The running hash of a channel here; none where it is still to be trusted.
    pub fn hash(&self, channel: &ChannelName) -> Option<Hash> {
        let known = self.hashes.iter().any(|(name, _)| name == channel);
        (known || !self.trusting).then(|| self.hashes.get(self.lineage, channel))
    }
}
