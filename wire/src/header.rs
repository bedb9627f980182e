//! The header of a slice: what it covers, and what each channel's payload is. Readable without
//! decompressing anything; also what the relay keeps of a closed range.

use crate::{
    ChannelName, Hash, Lineage, Lsn, SourceName,
    cursor::{DecodeError, Reader, put_prefixed, put_varint},
};

/// The most that a header may take: 4 MiB (enough for a transaction of some 800 GiB).
pub const MAX_HEADER_LEN: usize = 4 << 20;

/// The last commit of a slice, by which a restarted capture knows its master again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Commit {
    /// Where the commit record begins: what the slot is acknowledged up to, so that the master
    /// sends this transaction again after a restart.
    pub start: Lsn,
    /// Where the commit record ends: the commit's position.
    pub end: Lsn,
    /// The master's transaction id.
    pub xid: u32,
    /// Microseconds since 1970-01-01 UTC, by the master's clock.
    pub time_us: i64,
    /// [`crate::EncodedTransaction::digest`].
    pub digest: Hash,
}

/// An object that holds a part of a huge transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct PartObject {
    /// The blake3 of the object's bytes.
    pub name: Hash,
    /// The object's bytes.
    pub len: u64,
}

/// One channel's share of a slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The channel.
    pub channel: ChannelName,
    /// A division of the channel by rows; always empty today, reserved.
    pub route: String,
    /// The channel's running hash before the slice.
    pub before: Hash,
    /// And after it.
    pub after: Hash,
    /// Transactions that touch the channel.
    pub transactions: u64,
    /// Changes in the channel.
    pub changes: u64,
    /// Bytes of the payload, uncompressed.
    pub raw_len: u64,
    /// Bytes of the payload as it stands in the slice.
    pub stored_len: u64,
    /// The part objects that the payload's `H` records name, in order.
    pub parts: Vec<PartObject>,
}

/// What a slice says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SliceHeader {
    /// The source.
    pub source: SourceName,
    /// The history it belongs to.
    pub lineage: Lineage,
    /// Everything at this position is before the slice.
    pub after: Lsn,
    /// Everything at this position is in the slice or before it.
    pub through: Lsn,
    /// The last commit in it; none in a progress slice.
    pub commit: Option<Commit>,
    /// Transactions in all channels.
    pub transactions: u64,
    /// Changes in all channels.
    pub changes: u64,
    /// When its first transaction committed (µs since 1970, UTC), 0 where there is none.
    pub first_commit_us: i64,
    /// The channel map (JSON of [`crate::ChannelMap`]) where it changes with this slice.
    pub channel_map: Option<Vec<u8>>,
    /// The channels it touches, by name.
    pub channels: Vec<Part>,
}

impl SliceHeader {
    /// Whether it only moves the position.
    pub fn is_progress(&self) -> bool {
        self.channels.is_empty() && self.commit.is_none()
    }

    /// Whether any part stands in part objects.
    pub fn is_huge(&self) -> bool {
        self.channels.iter().any(|part| !part.parts.is_empty())
    }

    /// Uncompressed bytes of all payloads.
    pub fn raw_len(&self) -> u64 {
        self.channels.iter().map(|part| part.raw_len).sum()
    }

    /// Stored bytes of all payloads.
    pub fn stored_len(&self) -> u64 {
        self.channels.iter().fold(0, |sum, part| sum.saturating_add(part.stored_len))
    }

    /// Encodes the header (without magic, length and checksum).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.channels.len() * 128);
        put_prefixed(&mut out, self.source.as_str().as_bytes());
        out.extend_from_slice(self.lineage.as_bytes());
        out.extend_from_slice(&self.after.get().to_be_bytes());
        out.extend_from_slice(&self.through.get().to_be_bytes());
        out.push(u8::from(self.commit.is_some()));
        if let Some(commit) = &self.commit {
            out.extend_from_slice(&commit.start.get().to_be_bytes());
            out.extend_from_slice(&commit.end.get().to_be_bytes());
            out.extend_from_slice(&commit.xid.to_be_bytes());
            out.extend_from_slice(&commit.time_us.to_be_bytes());
            out.extend_from_slice(commit.digest.as_bytes());
        }
        put_varint(&mut out, self.transactions);
        put_varint(&mut out, self.changes);
        out.extend_from_slice(&self.first_commit_us.to_be_bytes());
        out.push(u8::from(self.channel_map.is_some()));
        if let Some(map) = &self.channel_map {
            put_prefixed(&mut out, map);
        }
        put_varint(&mut out, self.channels.len() as u64);
        for part in &self.channels {
            encode_part(&mut out, part);
        }
        out
    }

    /// Reads a header; all of `bytes` must be used.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let source = name(&mut r, "source name", SourceName::new)?;
        let lineage = Lineage::from_bytes(r.id16("lineage")?);
        let after = r.lsn("slice after")?;
        let through = r.lsn("slice through")?;
        if through < after {
            return Err(DecodeError::invalid("slice range", format_args!("({after}, {through}]")));
        }
        let commit = flag(&mut r, "commit flag")?.then(|| decode_commit(&mut r)).transpose()?;
        let transactions = r.varint("transactions")?;
        let changes = r.varint("changes")?;
        let first_commit_us = r.i64("first commit time")?;
        let channel_map = flag(&mut r, "channel map flag")?
            .then(|| r.prefixed("channel map").map(<[u8]>::to_vec))
            .transpose()?;
        let count = r.count("channels", 85)?;
        let channels: Vec<Part> =
            (0..count).map(|_| decode_part(&mut r)).collect::<Result<_, _>>()?;
        r.end("slice header")?;
        if !channels.is_sorted_by(|a, b| (&a.channel, &a.route) < (&b.channel, &b.route)) {
            return Err(DecodeError::invalid("channels", "a list out of order"));
        }
        let total = channels.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.stored_len));
        if total.is_none() {
            return Err(DecodeError::invalid("payload lengths", "a sum above 2^64"));
        }
        Ok(Self {
            source,
            lineage,
            after,
            through,
            commit,
            transactions,
            changes,
            first_commit_us,
            channel_map,
            channels,
        })
    }
}

fn encode_part(out: &mut Vec<u8>, part: &Part) {
    put_prefixed(out, part.channel.as_str().as_bytes());
    put_prefixed(out, part.route.as_bytes());
    out.extend_from_slice(part.before.as_bytes());
    out.extend_from_slice(part.after.as_bytes());
    put_varint(out, part.transactions);
    put_varint(out, part.changes);
    out.extend_from_slice(&part.raw_len.to_be_bytes());
    out.extend_from_slice(&part.stored_len.to_be_bytes());
    put_varint(out, part.parts.len() as u64);
    for object in &part.parts {
        out.extend_from_slice(object.name.as_bytes());
        out.extend_from_slice(&object.len.to_be_bytes());
    }
}

fn decode_part(r: &mut Reader<'_>) -> Result<Part, DecodeError> {
    Ok(Part {
        channel: name(r, "channel name", ChannelName::new)?,
        route: r.text("route")?.to_owned(),
        before: r.hash("hash before")?,
        after: r.hash("hash after")?,
        transactions: r.varint("channel transactions")?,
        changes: r.varint("channel changes")?,
        raw_len: r.u64("payload raw length")?,
        stored_len: r.u64("payload stored length")?,
        parts: {
            let count = r.count("parts", 40)?;
            (0..count)
                .map(|_| Ok(PartObject { name: r.hash("part name")?, len: r.u64("part length")? }))
                .collect::<Result<_, DecodeError>>()?
        },
    })
}

fn decode_commit(r: &mut Reader<'_>) -> Result<Commit, DecodeError> {
    Ok(Commit {
        start: r.lsn("commit start")?,
        end: r.lsn("commit end")?,
        xid: r.u32("commit xid")?,
        time_us: r.i64("commit time")?,
        digest: r.hash("commit digest")?,
    })
}

pub(crate) fn flag(r: &mut Reader<'_>, what: &'static str) -> Result<bool, DecodeError> {
    match r.u8(what)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::invalid(what, other)),
    }
}

pub(crate) fn name<T, E: std::fmt::Display>(
    r: &mut Reader<'_>,
    what: &'static str,
    new: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, DecodeError> {
    new(r.text(what)?).map_err(|error| DecodeError::invalid(what, error))
}

/// Magic, version, length, header, checksum: how a header stands at the front of slice and object.
pub(crate) fn frame(magic: [u8; 4], version: u16, header: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if header.len() > MAX_HEADER_LEN {
        return Err(DecodeError::invalid("header length", header.len()));
    }
    let len = u32::try_from(header.len()).map_err(|e| DecodeError::invalid("header length", e))?;
    let mut out = Vec::with_capacity(header.len() + FRAME_LEN);
    out.extend_from_slice(&magic);
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(header);
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    Ok(out)
}

/// Bytes that `frame` adds.
pub(crate) const FRAME_LEN: usize = 14;

/// Takes a framed header off the front: its bytes, and where the payload begins.
pub(crate) fn unframe<'a>(
    what: &'static str,
    magic: [u8; 4],
    known: u16,
    r: &mut Reader<'a>,
) -> Result<&'a [u8], DecodeError> {
    let all = r.rest();
    if r.bytes(what, 4)? != magic {
        return Err(DecodeError::invalid(what, "a beginning that is not ours"));
    }
    let version = r.u16(what)?;
    if version != known {
        return Err(DecodeError::Version { what, version, known });
    }
    let len = r.u32(what)?;
    let len = usize::try_from(len).ok().filter(|len| *len <= MAX_HEADER_LEN);
    let len = len.ok_or_else(|| DecodeError::invalid(what, "a header above 4 MiB"))?;
    let header = r.bytes(what, len)?;
    let covered = all.get(..FRAME_LEN - 4 + len).unwrap_or_default();
    let computed = crc32c::crc32c(covered);
    let stored = r.u32(what)?;
    if computed != stored {
        return Err(DecodeError::Checksum { what, computed, stored });
    }
    Ok(header)
}
