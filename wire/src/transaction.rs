//! A transaction's bytes: one run per channel it touches. The blake3 of a run goes into the
//! channel's running hash, so a run is a pure function of the WAL.
//!
//! ```text
//! run   := xid u32 ‖ commit time i64 (µs since 1970, UTC) ‖ entry*
//! entry := length varint ‖ ordinal gap varint ‖ change
//! ```
//!
//! An entry's ordinal is its place among all changes of the transaction, whatever their channel;
//! the gap is how many ordinals were left out since the entry before.

use std::{collections::HashMap, io::Read, sync::Arc};

use bytes::Bytes;

use crate::{
    ChannelName, Hash, Relation, RelationId,
    change::{Change, RelationLookup, RelationNames},
    cursor::{DecodeError, Reader, put_varint, varint_len},
};

/// What begins every run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransactionHeader {
    /// The master's transaction id; 0 for a message outside any transaction.
    pub xid: u32,
    /// When it committed: microseconds since 1970-01-01 UTC, by the master's clock.
    pub commit_time_us: i64,
}

impl TransactionHeader {
    /// Bytes of its encoding.
    pub const LEN: usize = 12;

    fn encode(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let (xid, time) = out.split_at_mut(4);
        xid.copy_from_slice(&self.xid.to_be_bytes());
        time.copy_from_slice(&self.commit_time_us.to_be_bytes());
        out
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { xid: r.u32("transaction id")?, commit_time_us: r.i64("commit time")? })
    }
}

/// One channel's run of a transaction, complete or what is still held of it.
#[derive(Debug)]
pub struct ChannelBytes {
    /// The channel.
    pub channel: ChannelName,
    /// The bytes that were not drained.
    pub bytes: Vec<u8>,
    /// Bytes of the run in all, drained ones too.
    pub raw_len: u64,
    /// Changes in the run.
    pub changes: u64,
    /// The relations it uses, in order of first use.
    pub relations: Vec<(RelationId, Arc<Relation>)>,
    /// Once something was drained: the hash of all that went before `bytes`.
    drained: Option<blake3::Hasher>,
    numbers: HashMap<RelationId, u64>,
    next_ordinal: u64,
}

impl ChannelBytes {
    fn new(channel: ChannelName, header: TransactionHeader) -> Self {
        Self {
            channel,
            bytes: header.encode().to_vec(),
            raw_len: TransactionHeader::LEN as u64,
            changes: 0,
            relations: Vec::new(),
            drained: None,
            numbers: HashMap::new(),
            next_ordinal: 0,
        }
    }

    /// Takes the first `len` bytes held (or all), for a part object; the digest still covers them.
    pub fn drain(&mut self, len: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(len.min(self.bytes.len()));
        let taken = std::mem::replace(&mut self.bytes, rest);
        self.drained.get_or_insert_with(blake3::Hasher::new).update(&taken);
        taken
    }

    /// The blake3 of the whole run.
    pub fn digest(&self) -> Hash {
        match &self.drained {
            None => Hash::of(&self.bytes),
            Some(hasher) => {
                let mut hasher = hasher.clone();
                hasher.update(&self.bytes);
                hasher.finalize().into()
            }
        }
    }
}

struct NumberedRelations<'a> {
    numbers: &'a mut HashMap<RelationId, u64>,
    relations: &'a mut Vec<(RelationId, Arc<Relation>)>,
}

impl RelationNames<(RelationId, Arc<Relation>)> for NumberedRelations<'_> {
    fn put(&mut self, out: &mut Vec<u8>, relation: &(RelationId, Arc<Relation>)) {
        let (id, _) = relation;
        if let Some(number) = self.numbers.get(id) {
            put_varint(out, *number);
        } else {
            out.push(0);
            out.extend_from_slice(id.0.as_bytes());
            self.relations.push(relation.clone());
            self.numbers.insert(*id, self.relations.len() as u64);
        }
    }
}

/// Names relations by their OIDs alone. The digest depends neither on channels nor on what else a
/// definition says: a server describes a table once per connection, and again only when the table
/// itself changes. After `ALTER TYPE … RENAME` or `ALTER SCHEMA … RENAME` an old connection goes on
/// with the old names and a new one begins with the new, for the very same WAL.
struct RelationOids;

impl RelationNames<(RelationId, Arc<Relation>)> for RelationOids {
    fn put(&mut self, out: &mut Vec<u8>, (_, relation): &(RelationId, Arc<Relation>)) {
        out.extend_from_slice(&relation.oid.to_be_bytes());
    }
}

/// A transaction, encoded and complete.
#[derive(Debug)]
pub struct EncodedTransaction {
    /// Xid and commit time.
    pub header: TransactionHeader,
    /// Its changes in all channels.
    pub changes: u64,
    /// The blake3 over all changes in order, independent of channels: the same transaction received
    /// again has the same digest, whatever the channel map says and types are called by then.
    pub digest: Hash,
    /// A run per channel touched, by name.
    pub channels: Vec<ChannelBytes>,
}

/// A change longer than this is moved into its run, not copied: 1 MiB.
const LARGE_CHANGE: usize = 1 << 20;

/// Encodes one transaction, change by change.
#[derive(Debug)]
pub struct TransactionEncoder {
    header: TransactionHeader,
    channels: Vec<ChannelBytes>,
    ordinal: u64,
    digest: blake3::Hasher,
    scratch: Vec<u8>,
}

impl TransactionEncoder {
    /// Begins a transaction.
    pub fn new(header: TransactionHeader) -> Self {
        let mut digest = blake3::Hasher::new();
        digest.update(&header.encode());
        Self { header, channels: Vec::new(), ordinal: 0, digest, scratch: Vec::new() }
    }

    /// Adds the next change to the run of `channel`. The ordinal counts every call, except that a
    /// change which touches several channels (a TRUNCATE) is split into one call per channel by
    /// the caller, each with its own ordinal.
    pub fn push(&mut self, channel: &ChannelName, change: &Change<(RelationId, Arc<Relation>)>) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        self.scratch.clear();
        change.encode(&mut self.scratch, &mut RelationOids);
        self.digest.update(&(self.scratch.len() as u64).to_be_bytes());
        self.digest.update(&self.scratch);

        let run = match self.channels.iter().position(|run| run.channel == *channel) {
            Some(at) => self.channels.get_mut(at),
            None => {
                self.channels.push(ChannelBytes::new(channel.clone(), self.header));
                self.channels.last_mut()
            }
        };
        let Some(run) = run else { return };
        self.scratch.clear();
        change.encode(
            &mut self.scratch,
            &mut NumberedRelations { numbers: &mut run.numbers, relations: &mut run.relations },
        );
        let gap = ordinal - run.next_ordinal;
        run.next_ordinal = ordinal + 1;
        let len = varint_len(gap) + self.scratch.len();
        put_varint(&mut run.bytes, len as u64);
        put_varint(&mut run.bytes, gap);
        run.raw_len += (varint_len(len as u64) + len) as u64;
        run.changes += 1;
        if self.scratch.len() <= LARGE_CHANGE {
            run.bytes.extend_from_slice(&self.scratch);
        } else {
            // The change becomes the run with what was there put before it, so that a value of
            // hundreds of megabytes is never held once more than it must be.
            let mut change = std::mem::take(&mut self.scratch);
            change.splice(0..0, std::mem::take(&mut run.bytes));
            run.bytes = change;
        }
    }

    /// Changes so far.
    pub fn changes(&self) -> u64 {
        self.ordinal
    }

    /// Bytes held, in all channels.
    pub fn held(&self) -> usize {
        self.channels.iter().map(|run| run.bytes.len()).sum()
    }

    /// Xid and commit time.
    pub fn header(&self) -> TransactionHeader {
        self.header
    }

    /// The runs so far, to drain a large transaction into parts.
    pub fn channels_mut(&mut self) -> &mut [ChannelBytes] {
        &mut self.channels
    }

    /// Ends the transaction.
    pub fn finish(mut self) -> EncodedTransaction {
        self.channels.sort_by(|a, b| a.channel.cmp(&b.channel));
        EncodedTransaction {
            header: self.header,
            changes: self.ordinal,
            digest: self.digest.finalize().into(),
            channels: self.channels,
        }
    }
}

/// Looks relations up while one run is decoded.
struct KnownRelations<'a> {
    used: &'a mut Vec<Arc<Relation>>,
    known: &'a HashMap<RelationId, Arc<Relation>>,
}

impl RelationLookup<Arc<Relation>> for KnownRelations<'_> {
    fn get(&mut self, r: &mut Reader<'_>) -> Result<Arc<Relation>, DecodeError> {
        let number = r.varint("relation number")?;
        if number == 0 {
            let id = RelationId(r.hash("relation id")?);
            let relation = self
                .known
                .get(&id)
                .ok_or_else(|| DecodeError::invalid("relation id without a definition", id.0))?;
            self.used.push(relation.clone());
            return Ok(relation.clone());
        }
        usize::try_from(number - 1)
            .ok()
            .and_then(|at| self.used.get(at))
            .cloned()
            .ok_or_else(|| DecodeError::invalid("relation number", number))
    }
}

/// A decoded entry: its ordinal in the transaction, and the change.
pub type Entry = (u64, Change<Arc<Relation>>);

/// Decodes the entries of one run. It keeps what earlier entries said (relations, ordinals), so
/// it serves one run, from its first entry.
#[derive(Debug, Default)]
pub struct TransactionDecoder {
    used: Vec<Arc<Relation>>,
    next_ordinal: u64,
}

impl TransactionDecoder {
    /// For a run that is about to begin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Splits a run that is in memory into its header and its entries' bytes.
    pub fn header(run: &Bytes) -> Result<(TransactionHeader, Bytes), DecodeError> {
        let mut r = Reader::new(run);
        let header = TransactionHeader::decode(&mut r)?;
        Ok((header, run.slice_ref(r.rest())))
    }

    /// Takes the next entry off the front of `entries`: its ordinal and change; `None` at the end.
    pub fn next(
        &mut self,
        entries: &mut Bytes,
        relations: &HashMap<RelationId, Arc<Relation>>,
    ) -> Result<Option<Entry>, DecodeError> {
        if entries.is_empty() {
            return Ok(None);
        }
        let mut r = Reader::new(entries);
        let entry = entries.slice_ref(r.prefixed("entry")?);
        let rest = entries.slice_ref(r.rest());
        let decoded = self.entry(&entry, relations)?;
        *entries = rest;
        Ok(Some(decoded))
    }

    /// Decodes one entry without its length.
    pub fn entry(
        &mut self,
        entry: &Bytes,
        relations: &HashMap<RelationId, Arc<Relation>>,
    ) -> Result<Entry, DecodeError> {
        let mut r = Reader::new(entry);
        let gap = r.varint("ordinal gap")?;
        let ordinal = self
            .next_ordinal
            .checked_add(gap)
            .filter(|ordinal| *ordinal < u64::MAX)
            .ok_or_else(|| DecodeError::invalid("ordinal gap", gap))?;
        let mut names = KnownRelations { used: &mut self.used, known: relations };
        let change = Change::decode(entry, &mut r, &mut names)?;
        r.end("entry")?;
        self.next_ordinal = ordinal + 1;
        Ok((ordinal, change))
    }
}

/// Cuts a run that comes as a byte stream (the parts of a huge transaction) into entries; holds
/// one entry at a time.
#[derive(Debug)]
pub struct EntryReader<R> {
    from: R,
    left: u64,
}

impl<R: Read> EntryReader<R> {
    /// Reads the header of a run of `raw_len` bytes.
    pub fn new(mut from: R, raw_len: u64) -> std::io::Result<(TransactionHeader, Self)> {
        let mut bytes = [0; TransactionHeader::LEN];
        from.read_exact(&mut bytes)?;
        let left = raw_len
            .checked_sub(TransactionHeader::LEN as u64)
            .ok_or_else(|| std::io::Error::other("a run shorter than its header"))?;
        let header =
            TransactionHeader::decode(&mut Reader::new(&bytes)).map_err(std::io::Error::other)?;
        Ok((header, Self { from, left }))
    }

    /// The next entry without its length, for [`TransactionDecoder::entry`]; `None` at the end of
    /// the run. Memory grows with the bytes that come, not with the length that is claimed.
    pub fn next_entry(&mut self) -> std::io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let len = self.length()?;
        if len > self.left {
            return Err(std::io::Error::other(DecodeError::Truncated {
                what: "entry",
                needed: len,
                left: self.left,
            }));
        }
        self.left -= len;
        let mut entry = Vec::with_capacity(usize::try_from(len.min(1 << 20)).unwrap_or(0));
        let got = (&mut self.from).take(len).read_to_end(&mut entry)?;
        if got as u64 != len {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Bytes::from(entry)))
    }

    fn length(&mut self) -> std::io::Result<u64> {
        let mut bytes = [0_u8; 10];
        for (count, at) in bytes.iter_mut().enumerate() {
            self.from.read_exact(std::slice::from_mut(at))?;
            self.left = self.left.checked_sub(1).ok_or(std::io::ErrorKind::UnexpectedEof)?;
            if *at & 0x80 == 0 {
                let used = bytes.get(..=count).unwrap_or_default();
                return Reader::new(used).varint("entry length").map_err(std::io::Error::other);
            }
        }
        Err(std::io::Error::other(DecodeError::invalid(
            "entry length",
            "a number that is too long",
        )))
    }
}
