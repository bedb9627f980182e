//! An object: an immutable file of closed history, named by the blake3 of its bytes.
//!
//! ```text
//! object := "TWOB" ‖ version u16 ‖ header length u32 ‖ header ‖ crc32c u32 ‖ chunk*
//! ```

use bytes::Bytes;

use crate::{
    ChannelName, Hash, Lineage, Lsn, SourceName,
    chunk::{ChunkError, ChunkReader, check_chunks},
    cursor::{DecodeError, Reader, put_prefixed, put_varint},
    header::{FRAME_LEN, frame, name, unframe},
};

const MAGIC: [u8; 4] = *b"TWOB";
const VERSION: u16 = 1;

/// An object that cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Bytes that are no object.
    #[error("object: {0}")]
    Decode(#[from] DecodeError),
    /// A chunk.
    #[error("object: {0}")]
    Chunk(#[from] ChunkError),
    /// The bytes are not those that the name stands for.
    #[error(
        "object {expected}: the bytes hash to {found}: they are damaged or were replaced; fetch it again"
    )]
    Name {
        /// The name asked for.
        expected: Hash,
        /// What the bytes hash to.
        found: Hash,
    },
}

/// What an object holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ObjectKind {
    /// A channel's transactions in the range `(after, through]`; payload: records.
    Log {
        /// Everything at this position is before the object.
        after: Lsn,
        /// Everything at this position is in it or before it.
        through: Lsn,
        /// The channel's running hash before.
        before: Hash,
        /// And after.
        after_hash: Hash,
    },
    /// Rows of a table as of a position; payload: lines in PostgreSQL's COPY text format.
    Snapshot {
        /// The position.
        lsn: Lsn,
        /// The table's OID on the master.
        table: u32,
        /// Its place among the table's parts, from 0.
        part: u32,
        /// Rows in it.
        rows: u64,
    },
    /// A piece of a huge transaction's run; payload: the run's bytes.
    Transaction {
        /// The capture session that wrote it.
        session: u64,
        /// The master's transaction id.
        xid: u32,
        /// Its place among the run's parts, from 0.
        part: u32,
    },
}

/// What an object says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectHeader {
    /// The source.
    pub source: SourceName,
    /// The history it belongs to.
    pub lineage: Lineage,
    /// The channel.
    pub channel: ChannelName,
    /// A division of the channel by rows; always empty today, reserved.
    pub route: String,
    /// Bytes of the payload, uncompressed.
    pub raw_len: u64,
    /// What it holds.
    pub kind: ObjectKind,
}

impl ObjectHeader {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        put_prefixed(&mut out, self.source.as_str().as_bytes());
        out.extend_from_slice(self.lineage.as_bytes());
        put_prefixed(&mut out, self.channel.as_str().as_bytes());
        put_prefixed(&mut out, self.route.as_bytes());
        out.extend_from_slice(&self.raw_len.to_be_bytes());
        match &self.kind {
            ObjectKind::Log { after, through, before, after_hash } => {
                out.push(b'L');
                out.extend_from_slice(&after.get().to_be_bytes());
                out.extend_from_slice(&through.get().to_be_bytes());
                out.extend_from_slice(before.as_bytes());
                out.extend_from_slice(after_hash.as_bytes());
            }
            ObjectKind::Snapshot { lsn, table, part, rows } => {
                out.push(b'S');
                out.extend_from_slice(&lsn.get().to_be_bytes());
                out.extend_from_slice(&table.to_be_bytes());
                out.extend_from_slice(&part.to_be_bytes());
                put_varint(&mut out, *rows);
            }
            ObjectKind::Transaction { session, xid, part } => {
                out.push(b'P');
                out.extend_from_slice(&session.to_be_bytes());
                out.extend_from_slice(&xid.to_be_bytes());
                out.extend_from_slice(&part.to_be_bytes());
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let source = name(&mut r, "source name", SourceName::new)?;
        let lineage = Lineage::from_bytes(r.id16("lineage")?);
        let channel = name(&mut r, "channel name", ChannelName::new)?;
        let route = r.text("route")?.to_owned();
        let raw_len = r.u64("payload raw length")?;
        let kind = match r.u8("object kind")? {
            b'L' => ObjectKind::Log {
                after: r.lsn("object after")?,
                through: r.lsn("object through")?,
                before: r.hash("hash before")?,
                after_hash: r.hash("hash after")?,
            },
            b'S' => ObjectKind::Snapshot {
                lsn: r.lsn("snapshot position")?,
                table: r.u32("table oid")?,
                part: r.u32("part number")?,
                rows: r.varint("rows")?,
            },
            b'P' => ObjectKind::Transaction {
                session: r.u64("session")?,
                xid: r.u32("transaction id")?,
                part: r.u32("part number")?,
            },
            kind => return Err(DecodeError::invalid("object kind", kind)),
        };
        r.end("object header")?;
        Ok(Self { source, lineage, channel, route, raw_len, kind })
    }
}

/// Puts an object together.
#[derive(Debug)]
pub struct ObjectWriter;

impl ObjectWriter {
    /// From its header and its payload, a row of chunks: the bytes and the name.
    pub fn assemble(header: &ObjectHeader, payload: &[u8]) -> Result<(Bytes, Hash), ObjectError> {
        let mut bytes = frame(MAGIC, VERSION, &header.encode())?;
        bytes.reserve_exact(payload.len());
        bytes.extend_from_slice(payload);
        let name = Hash::of(&bytes);
        Ok((bytes.into(), name))
    }
}

/// An object that was read: its header checked, its payload chunk by chunk.
#[derive(Debug)]
pub struct ObjectReader {
    header: ObjectHeader,
    payload: Bytes,
}

impl ObjectReader {
    /// Reads the bytes that must hash to `name`.
    pub fn named(bytes: Bytes, name: Hash) -> Result<Self, ObjectError> {
        let found = Hash::of(&bytes);
        if found != name {
            return Err(ObjectError::Name { expected: name, found });
        }
        Self::decode(bytes)
    }

    /// Reads the bytes of an object.
    pub fn decode(bytes: Bytes) -> Result<Self, ObjectError> {
        let mut r = Reader::new(&bytes);
        let encoded = unframe("object header", MAGIC, VERSION, &mut r)?;
        let header = ObjectHeader::decode(encoded)?;
        let payload = bytes.slice(encoded.len() + FRAME_LEN..);
        Ok(Self { header, payload })
    }

    /// Checks every chunk without decompressing.
    pub fn check(&self) -> Result<(), ObjectError> {
        let claimed = check_chunks(&self.payload)?;
        if claimed == self.header.raw_len {
            Ok(())
        } else {
            Err(DecodeError::invalid("payload raw length", claimed).into())
        }
    }

    /// What it says of itself.
    pub fn header(&self) -> &ObjectHeader {
        &self.header
    }

    /// The payload, a row of chunks.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Reads the payload.
    pub fn chunks(&self) -> Result<ChunkReader, ObjectError> {
        Ok(ChunkReader::new(self.payload.clone())?)
    }
}
