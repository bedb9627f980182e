use wire::{ChannelName, Hash, Lineage, Lsn, ManifestRange, ObjectKind, Slice, SourceName};

use super::{
    error::{Malformed, Place, RangeError},
    object_file::ObjectFile,
    payload::Payload,
};

/// Whole transactions of `(after, through]`, split by channel, as a relay gave them: a slice or a
/// closed range. Nothing in it is believed before [`super::verify()`] has found it right.
#[derive(Clone, Debug)]
pub struct Range {
    /// The source.
    pub source: SourceName,
    /// The history.
    pub lineage: Lineage,
    /// Everything at this position is before the range.
    pub after: Lsn,
    /// Everything at this position is in the range or before it.
    pub through: Lsn,
    /// The channels it touches.
    pub channels: Vec<RangeChannel>,
}

/// A channel's share of a range.
#[derive(Clone, Debug)]
pub struct RangeChannel {
    /// The channel.
    pub channel: ChannelName,
    /// Its running hash before.
    pub before: Hash,
    /// And after.
    pub after: Hash,
    /// Transactions that touch it.
    pub transactions: u64,
    /// Changes in it, for the progress shown only.
    pub changes: u64,
    /// Its records.
    pub payload: Payload,
    /// The part objects that its records name, in order.
    pub parts: Vec<ObjectFile>,
}

/// The objects of one channel of a closed range, as they were fetched.
#[derive(Debug)]
pub struct ChannelFiles {
    /// The object with the records.
    pub object: ObjectFile,
    /// The part objects.
    pub parts: Vec<ObjectFile>,
}

impl Range {
    /// A slice, with the channels for which `keep` holds.
    pub fn from_slice(slice: &Slice, keep: impl Fn(&ChannelName) -> bool) -> Self {
        let header = slice.header();
        let channels = slice
            .parts()
            .filter(|(part, _)| keep(&part.channel))
            .map(|(part, payload)| RangeChannel {
                channel: part.channel.clone(),
                before: part.before,
                after: part.after,
                transactions: part.transactions,
                changes: part.changes,
                payload: Payload::Memory(payload),
                parts: Vec::new(),
            })
            .collect();
        Self {
            source: header.source.clone(),
            lineage: header.lineage,
            after: header.after,
            through: header.through,
            channels,
        }
    }

    /// A closed range of a manifest; `files` are its channels' objects, in the same order.
    ///
    /// # Errors
    /// An object whose header is not what the manifest says of it.
    pub fn from_objects(
        source: SourceName,
        lineage: Lineage,
        range: &ManifestRange,
        files: Vec<ChannelFiles>,
    ) -> Result<Self, RangeError> {
        let channels = range
            .channels
            .iter()
            .zip(files)
            .map(|(channel, files)| {
                let place = Place {
                    source: source.clone(),
                    channel: channel.channel.clone(),
                    lsn: range.after,
                };
                let (header, _) = files
                    .object
                    .open()
                    .map_err(|error| RangeError::Malformed { place: place.clone(), error })?;
                let name = files.object.name();
                let differs = |what| RangeError::Malformed {
                    place: place.clone(),
                    error: Malformed::Misnamed { name, what },
                };
                let ObjectKind::Log { before, after_hash, .. } = header.kind else {
                    return Err(differs("its kind"));
                };
                if header.source != source || header.lineage != lineage {
                    return Err(differs("its source or lineage"));
                }
                if header.channel != channel.channel {
                    return Err(differs("its channel"));
                }
                if (before, after_hash) != (channel.before, channel.after) {
                    return Err(differs("its hashes"));
                }
                Ok(RangeChannel {
                    channel: channel.channel.clone(),
                    before: channel.before,
                    after: channel.after,
                    transactions: channel.transactions,
                    changes: channel.changes,
                    payload: Payload::Object(files.object),
                    parts: files.parts,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { source, lineage, after: range.after, through: range.through, channels })
    }

    /// Whether any transaction of it lies in part objects.
    pub fn is_huge(&self) -> bool {
        self.channels.iter().any(|channel| !channel.parts.is_empty())
    }

    /// Changes in all its channels, those already applied too.
    pub fn changes(&self) -> u64 {
        self.channels.iter().map(|channel| channel.changes).sum()
    }
}
