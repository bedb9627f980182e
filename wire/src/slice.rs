//! A slice: the half-open range `(after, through]` of the live log, whole transactions, payload
//! split by channel.
//!
//! ```text
//! slice := "TWSL" ‖ version u16 ‖ header length u32 ‖ header ‖ crc32c u32 ‖ payload per channel
//! ```

use bytes::Bytes;

use crate::{
    ChannelHashes, ChannelName, Commit, EncodedTransaction, HugeTransaction, Lineage, Lsn, Part,
    PartObject, RecordWriter, SliceHeader, SourceName,
    chunk::{ChunkError, check_chunks},
    cursor::{DecodeError, Reader},
    header::{FRAME_LEN, frame, unframe},
};

const MAGIC: [u8; 4] = *b"TWSL";
const VERSION: u16 = 1;

/// A slice that cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    /// Bytes that are no slice.
    #[error("slice: {0}")]
    Decode(#[from] DecodeError),
    /// A payload's chunk.
    #[error("slice ({after}, {through}], channel {channel}: {error}")]
    Payload {
        /// The slice's range.
        after: Lsn,
        /// The slice's range.
        through: Lsn,
        /// The channel.
        channel: ChannelName,
        /// What is wrong.
        error: DecodeError,
    },
    /// Compression failed.
    #[error("slice: {0}")]
    Chunk(#[from] ChunkError),
}

/// A slice: its header, and the bytes it came as. Cloning copies no payload.
#[derive(Clone, Debug)]
pub struct Slice {
    header: SliceHeader,
    bytes: Bytes,
    payload_at: usize,
}

impl Slice {
    /// Puts a header and payloads (in the order of its channels) together.
    pub fn assemble(header: SliceHeader, payloads: &[&[u8]]) -> Result<Self, SliceError> {
        let mut bytes = frame(MAGIC, VERSION, &header.encode())?;
        let payload_at = bytes.len();
        for payload in payloads {
            bytes.extend_from_slice(payload);
        }
        Ok(Self { header, bytes: bytes.into(), payload_at })
    }

    /// A slice without changes, which moves the position.
    pub fn progress(
        source: SourceName,
        lineage: Lineage,
        after: Lsn,
        through: Lsn,
    ) -> Result<Self, SliceError> {
        let header = SliceHeader {
            source,
            lineage,
            after,
            through,
            commit: None,
            transactions: 0,
            changes: 0,
            first_commit_us: 0,
            channel_map: None,
            channels: Vec::new(),
        };
        Self::assemble(header, &[])
    }

    /// Reads a slice that is all of `bytes`. Header checksum and lengths are checked here, the
    /// payloads' by [`Slice::check`] or when they are read.
    pub fn decode(bytes: Bytes) -> Result<Self, SliceError> {
        let (slice, rest) = split_slice(bytes)?.ok_or(DecodeError::Truncated {
            what: "slice",
            needed: 1,
            left: 0,
        })?;
        if rest.is_empty() {
            Ok(slice)
        } else {
            Err(DecodeError::Trailing { what: "slice", left: rest.len() }.into())
        }
    }

    /// Reads the header at the front of a slice of which the payloads need not be there: the header,
    /// and where the first payload begins. For a store that keeps slices in pieces.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] where more bytes are needed; damage.
    pub fn header_of(front: &[u8]) -> Result<(SliceHeader, usize), DecodeError> {
        let encoded = unframe("slice header", MAGIC, VERSION, &mut Reader::new(front))?;
        Ok((SliceHeader::decode(encoded)?, encoded.len() + FRAME_LEN))
    }

    /// Checks every chunk's checksum and length, without decompressing.
    pub fn check(&self) -> Result<(), SliceError> {
        for (part, payload) in self.parts() {
            let claimed =
                check_chunks(&payload).map_err(|error| self.payload_error(part, error))?;
            if claimed != part.raw_len {
                let error = DecodeError::invalid("payload raw length", claimed);
                return Err(self.payload_error(part, error));
            }
        }
        Ok(())
    }

    fn payload_error(&self, part: &Part, error: DecodeError) -> SliceError {
        SliceError::Payload {
            after: self.header.after,
            through: self.header.through,
            channel: part.channel.clone(),
            error,
        }
    }

    /// What it says of itself.
    pub fn header(&self) -> &SliceHeader {
        &self.header
    }

    /// All its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Each channel with its payload, a row of chunks.
    pub fn parts(&self) -> impl Iterator<Item = (&Part, Bytes)> {
        let mut at = self.payload_at;
        self.header.channels.iter().map(move |part| {
            let from = at;
            at = at.saturating_add(usize::try_from(part.stored_len).unwrap_or(usize::MAX));
            (part, self.bytes.slice(from.min(self.bytes.len())..at.min(self.bytes.len())))
        })
    }

    /// The same range with only the channels for which `keep` holds, by copying bytes.
    pub fn filtered(&self, mut keep: impl FnMut(&ChannelName) -> bool) -> Result<Self, SliceError> {
        if self.header.channels.iter().all(|part| keep(&part.channel)) {
            return Ok(self.clone());
        }
        let kept: Vec<(&Part, Bytes)> =
            self.parts().filter(|(part, _)| keep(&part.channel)).collect();
        let header = SliceHeader {
            channels: kept.iter().map(|(part, _)| (*part).clone()).collect(),
            ..self.header.clone()
        };
        let payloads: Vec<&[u8]> = kept.iter().map(|(_, payload)| payload.as_ref()).collect();
        Self::assemble(header, &payloads)
    }

    /// The same slice beginning at an earlier position, where what lies between holds nothing for
    /// its channels.
    pub fn extended_back(&self, after: Lsn) -> Result<Self, SliceError> {
        if after == self.header.after {
            return Ok(self.clone());
        }
        let header = SliceHeader { after, ..self.header.clone() };
        let payload = self.bytes.slice(self.payload_at..);
        Self::assemble(header, &[&payload])
    }
}

/// Takes the first slice off a row of slices; `None` where nothing is left.
pub fn split_slice(bytes: Bytes) -> Result<Option<(Slice, Bytes)>, SliceError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut r = Reader::new(&bytes);
    let encoded = unframe("slice header", MAGIC, VERSION, &mut r)?;
    let payload_at = encoded.len() + FRAME_LEN;
    let header = SliceHeader::decode(encoded)?;
    let len = header.stored_len();
    let left = r.rest().len() as u64;
    let len = usize::try_from(len)
        .ok()
        .filter(|len| *len as u64 <= left)
        .ok_or(DecodeError::Truncated { what: "slice payload", needed: len, left })?;
    let whole = bytes.slice(..payload_at + len);
    let rest = bytes.slice(payload_at + len..);
    Ok(Some((Slice { header, bytes: whole, payload_at }, rest)))
}

#[derive(Debug)]
struct OpenPart {
    part: Part,
    records: RecordWriter,
}

/// Gathers transactions into a slice.
#[derive(Debug)]
pub struct SliceBuilder {
    source: SourceName,
    lineage: Lineage,
    level: i32,
    after: Lsn,
    hashes: ChannelHashes,
    commit: Option<Commit>,
    transactions: u64,
    changes: u64,
    first_commit_us: i64,
    channel_map: Option<Vec<u8>>,
    /// In use for this slice; the writers behind are kept for the next.
    open: Vec<OpenPart>,
    spare: Vec<RecordWriter>,
}

impl SliceBuilder {
    /// Begins at `after`, where the channels' hashes are `hashes`; `level` is zstd's.
    pub fn new(
        source: SourceName,
        lineage: Lineage,
        after: Lsn,
        hashes: ChannelHashes,
        level: i32,
    ) -> Self {
        Self {
            source,
            lineage,
            level,
            after,
            hashes,
            commit: None,
            transactions: 0,
            changes: 0,
            first_commit_us: 0,
            channel_map: None,
            open: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Where the slice under construction begins.
    pub fn after(&self) -> Lsn {
        self.after
    }

    /// The running hashes, with what was pushed.
    pub fn hashes(&self) -> &ChannelHashes {
        &self.hashes
    }

    /// Uncompressed bytes gathered.
    pub fn raw_len(&self) -> u64 {
        self.open.iter().map(|open| open.records.raw_len()).sum()
    }

    /// Transactions gathered.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Adds a transaction whose commit record lies at `start..end`. `parts` gives, per channel of
    /// the transaction, the part objects of a run that was drained; such a run must have been
    /// drained to its end.
    pub fn push(
        &mut self,
        start: Lsn,
        end: Lsn,
        transaction: &EncodedTransaction,
        parts: &[(ChannelName, Vec<PartObject>)],
    ) -> Result<(), SliceError> {
        for run in &transaction.channels {
            let digest = run.digest();
            let before = self.hashes.get(self.lineage, &run.channel);
            let after = before.extended(end, digest);
            let objects = parts.iter().find(|(name, _)| *name == run.channel).map(|(_, p)| p);
            let open = self.channel(&run.channel)?;
            for (id, relation) in &run.relations {
                open.records.relation(*id, relation)?;
            }
            if let Some(objects) = objects.filter(|objects| !objects.is_empty()) {
                open.records.huge(&HugeTransaction {
                    lsn: end,
                    raw_len: run.raw_len,
                    digest,
                    parts: objects.iter().map(|object| object.name).collect(),
                })?;
                open.part.parts.extend_from_slice(objects);
            } else {
                open.records.transaction(end, &run.bytes)?;
            }
            open.part.transactions += 1;
            open.part.changes += run.changes;
            open.part.after = after;
            self.hashes.set(run.channel.clone(), after);
        }
        if self.transactions == 0 {
            self.first_commit_us = transaction.header.commit_time_us;
        }
        self.transactions += 1;
        self.changes += transaction.changes;
        self.commit = Some(Commit {
            start,
            end,
            xid: transaction.header.xid,
            time_us: transaction.header.commit_time_us,
            digest: transaction.digest,
        });
        Ok(())
    }

    /// Notes that the channel map changes with this slice.
    pub fn channel_map(&mut self, map: Vec<u8>) {
        self.channel_map = Some(map);
    }

    fn channel(&mut self, channel: &ChannelName) -> Result<&mut OpenPart, SliceError> {
        let at = match self.open.iter().position(|open| open.part.channel == *channel) {
            Some(at) => at,
            None => {
                let hash = self.hashes.get(self.lineage, channel);
                let records = match self.spare.pop() {
                    Some(records) => records,
                    None => RecordWriter::new(self.level)?,
                };
                let part = Part {
                    channel: channel.clone(),
                    route: String::new(),
                    before: hash,
                    after: hash,
                    transactions: 0,
                    changes: 0,
                    raw_len: 0,
                    stored_len: 0,
                    parts: Vec::new(),
                };
                self.open.push(OpenPart { part, records });
                self.open.len() - 1
            }
        };
        self.open.get_mut(at).ok_or_else(|| DecodeError::invalid("channel", channel).into())
    }

    /// Ends the slice at `through` and begins the next one there.
    pub fn finish(&mut self, through: Lsn) -> Result<Slice, SliceError> {
        let mut open = std::mem::take(&mut self.open);
        open.sort_by(|a, b| a.part.channel.cmp(&b.part.channel));
        let mut channels = Vec::with_capacity(open.len());
        let mut payloads = Vec::with_capacity(open.len());
        for OpenPart { mut part, mut records } in open {
            let (stored, raw_len) = records.finish()?;
            part.raw_len = raw_len;
            part.stored_len = stored.len() as u64;
            channels.push(part);
            payloads.push(stored);
            self.spare.push(records);
        }
        let header = SliceHeader {
            source: self.source.clone(),
            lineage: self.lineage,
            after: self.after,
            through,
            commit: self.commit.take(),
            transactions: std::mem::take(&mut self.transactions),
            changes: std::mem::take(&mut self.changes),
            first_commit_us: std::mem::take(&mut self.first_commit_us),
            channel_map: self.channel_map.take(),
            channels,
        };
        self.after = through;
        let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        Slice::assemble(header, &payloads)
    }
}
