use std::path::PathBuf;

use wire::{ChannelName, ChunkError, DecodeError, Hash, Lineage, Lsn, ObjectError, SourceName};

/// Where in a source's history something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The source.
    pub source: SourceName,
    /// The channel.
    pub channel: ChannelName,
    /// The last position that was still right.
    pub lsn: Lsn,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "source {}, channel {}, after {}", self.source, self.channel, self.lsn)
    }
}

/// Why a range cannot be applied. Nothing of it has been.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// It begins behind the own position.
    #[error(
        "source {source_name}: the range ({after}, {through}] leaves a gap behind the own position {own}; nothing of it was applied"
    )]
    Gap {
        /// The source.
        source_name: SourceName,
        /// The own position.
        own: Lsn,
        /// Where the range begins.
        after: Lsn,
        /// Where it ends.
        through: Lsn,
    },
    /// It belongs to another source or history.
    #[error(
        "the range ({after}, …] is of source {found_source}, lineage {found}; {expected_source}, lineage {expected} was asked for; nothing of it was applied. Check --relay and --source-name, and what stands between"
    )]
    Foreign {
        /// Where it begins.
        after: Lsn,
        /// The source asked for.
        expected_source: SourceName,
        /// The lineage asked for.
        expected: Lineage,
        /// The source found.
        found_source: SourceName,
        /// The lineage found.
        found: Lineage,
    },
    /// The history at the own position is not the one that was applied here.
    #[error(
        "{place}: this terminal's running hash is {own}, the relay's is {found}: they do not share a history, so nothing was applied. One of the two was restored from a backup or changed by hand. If the relay is right, `tailwater-terminal reload` loads its newest snapshot over what is here; else pull from the relay that this target followed"
    )]
    Fork {
        /// Where.
        place: Place,
        /// The own hash.
        own: Hash,
        /// The range's.
        found: Hash,
    },
    /// The transactions do not add up to the hash that the range claims.
    #[error(
        "{place}: the transactions hash to {computed}, the range claims {claimed}: the relay's copy is damaged, nothing of the range was applied"
    )]
    Chain {
        /// Where.
        place: Place,
        /// As computed.
        computed: Hash,
        /// As claimed.
        claimed: Hash,
    },
    /// A huge transaction's parts do not add up to its digest.
    #[error(
        "{place}: the parts of the transaction at {at} hash to {computed}, not to {claimed}: they are damaged, nothing of it was applied"
    )]
    Parts {
        /// Where.
        place: Place,
        /// The transaction.
        at: Lsn,
        /// As computed.
        computed: Hash,
        /// As claimed.
        claimed: Hash,
    },
    /// Bytes that are not what they should be.
    #[error("{place}: {error}: the relay's copy is damaged, nothing behind it was applied")]
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong.
        error: Malformed,
    },
    /// A spooled file cannot be read.
    #[error("cannot read the spooled file {path}: {error}")]
    Spool {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl RangeError {
    /// Whether this terminal and the relay have different histories, rather than damaged bytes.
    pub fn is_fork(&self) -> bool {
        matches!(self, Self::Fork { .. } | Self::Foreign { .. })
    }
}

/// What is wrong with bytes.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// They cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A chunk cannot be read.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// An object cannot be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A part object's stream ends early or holds an entry that cannot be.
    #[error("{0}")]
    Stream(std::io::Error),
    /// Commits are not in order, or outside of the range.
    #[error("a transaction at {found} where one in ({after}, {through}] must follow")]
    Order {
        /// The one before, or the range's beginning.
        after: Lsn,
        /// The range's end.
        through: Lsn,
        /// What was found.
        found: Lsn,
    },
    /// Another number of transactions than the range claims.
    #[error("{found} transactions where {claimed} were claimed")]
    Count {
        /// As claimed.
        claimed: u64,
        /// As found.
        found: u64,
    },
    /// One transaction's runs disagree between channels.
    #[error("the transaction at {lsn} is not the same in all its channels: {what}")]
    Disagreement {
        /// The transaction.
        lsn: Lsn,
        /// In what.
        what: &'static str,
    },
    /// A huge transaction without its parts.
    #[error("the transaction at {lsn} names the part object {part}, which was not sent with it")]
    NoPart {
        /// The transaction.
        lsn: Lsn,
        /// The object.
        part: Hash,
    },
    /// An object that is not what the manifest says.
    #[error("the object {name} is not what the manifest says: {what} differs")]
    Misnamed {
        /// The object.
        name: Hash,
        /// In what.
        what: &'static str,
    },
}
