use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ChannelName, Lineage, Lsn};

/// A blake3 hash: 32 bytes, printed as 64 hexadecimal digits. Names objects and relations, and
/// runs along each channel's history.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// From 32 bytes that are a hash already.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The running hash of a channel before its first transaction: `blake3(lineage ‖ channel)`.
    pub fn genesis(lineage: Lineage, channel: &ChannelName) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(lineage.as_bytes());
        hasher.update(channel.as_str().as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The running hash after a transaction: `blake3(self ‖ lsn ‖ digest)`, the position in
    /// big-endian; `digest` is the blake3 of the transaction's uncompressed bytes in the channel.
    #[must_use]
    pub fn extended(self, lsn: Lsn, digest: Hash) -> Self {
        let mut input = [0; 72];
        let (before, rest) = input.split_at_mut(32);
        let (position, of) = rest.split_at_mut(8);
        before.copy_from_slice(&self.0);
        position.copy_from_slice(&lsn.get().to_be_bytes());
        of.copy_from_slice(&digest.0);
        Self::of(&input)
    }
}

impl From<blake3::Hash> for Hash {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a hash: 64 hexadecimal digits")]
pub struct ParseHashError(String);

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| ParseHashError(text.chars().take(80).collect()))?;
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The running hash of each channel at one position. A channel that is not listed has had no
/// transaction: its hash is its genesis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChannelHashes(BTreeMap<ChannelName, Hash>);

impl ChannelHashes {
    /// The hash of `channel`, its genesis under `lineage` where it has had no transaction.
    pub fn get(&self, lineage: Lineage, channel: &ChannelName) -> Hash {
        self.0.get(channel).copied().unwrap_or_else(|| Hash::genesis(lineage, channel))
    }

    /// Sets the hash of a channel.
    pub fn set(&mut self, channel: ChannelName, hash: Hash) {
        self.0.insert(channel, hash);
    }

    /// The channels that have had transactions, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ChannelName, Hash)> {
        self.0.iter().map(|(name, hash)| (name, *hash))
    }

    /// Only the channels for which `keep` holds.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&ChannelName) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keep(name)).map(|(n, h)| (n.clone(), *h)).collect())
    }
}

impl FromIterator<(ChannelName, Hash)> for ChannelHashes {
    fn from_iter<I: IntoIterator<Item = (ChannelName, Hash)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}
