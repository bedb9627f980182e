//! What the payload of a log channel holds, one record after another:
//!
//! ```text
//! record := 'R' ‖ length varint ‖ relation            a definition that later records use
//!         | 'T' ‖ lsn u64 ‖ length varint ‖ run       a transaction's run in this channel
//!         | 'H' ‖ lsn u64 ‖ raw length u64 ‖ digest 32 ‖ count varint ‖ (object name 32)*
//!                                                     a run that is kept in part objects
//! ```
//!
//! `lsn` is the commit's end.

use std::collections::HashSet;

use bytes::Bytes;

use crate::{
    Hash, Lsn, Relation, RelationId,
    chunk::{ChunkError, ChunkWriter},
    cursor::{DecodeError, Reader, put_prefixed, put_varint},
};

/// A run too large to stand in a payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HugeTransaction {
    /// The commit's end.
    pub lsn: Lsn,
    /// Bytes of the run.
    pub raw_len: u64,
    /// The run's blake3.
    pub digest: Hash,
    /// The objects that hold the run, in order.
    pub parts: Vec<Hash>,
}

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// A definition that later records of the payload use.
    Relation(Relation),
    /// A transaction's run.
    Transaction {
        /// The commit's end.
        lsn: Lsn,
        /// The run, see [`crate::TransactionDecoder`].
        run: Bytes,
    },
    /// A run in part objects.
    Huge(HugeTransaction),
}

/// Walks the records of one chunk.
#[derive(Debug, Clone)]
pub struct Records {
    chunk: Bytes,
}

impl Records {
    /// Over an uncompressed chunk.
    pub fn new(chunk: Bytes) -> Self {
        Self { chunk }
    }

    fn decode(chunk: &Bytes) -> Result<(Record, Bytes), DecodeError> {
        let mut r = Reader::new(chunk);
        let record = match r.u8("record tag")? {
            b'R' => Record::Relation(Relation::decode(r.prefixed("relation")?)?),
            b'T' => Record::Transaction {
                lsn: r.lsn("transaction position")?,
                run: chunk.slice_ref(r.prefixed("transaction")?),
            },
            b'H' => Record::Huge(HugeTransaction {
                lsn: r.lsn("transaction position")?,
                raw_len: r.u64("transaction length")?,
                digest: r.hash("transaction digest")?,
                parts: {
                    let count = r.count("parts", 32)?;
                    (0..count).map(|_| r.hash("part name")).collect::<Result<_, _>>()?
                },
            }),
            tag => return Err(DecodeError::invalid("record tag", tag)),
        };
        Ok((record, chunk.slice_ref(r.rest())))
    }
}

impl Iterator for Records {
    type Item = Result<Record, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.chunk.is_empty() {
            return None;
        }
        Some(match Self::decode(&self.chunk) {
            Ok((record, rest)) => {
                self.chunk = rest;
                Ok(record)
            }
            Err(error) => {
                self.chunk = Bytes::new();
                Err(error)
            }
        })
    }
}

/// Writes the records of one channel's payload; a definition is written once.
#[derive(Debug)]
pub struct RecordWriter {
    chunks: ChunkWriter,
    defined: HashSet<RelationId>,
    scratch: Vec<u8>,
}

impl RecordWriter {
    /// With a zstd level.
    pub fn new(level: i32) -> Result<Self, ChunkError> {
        Ok(Self { chunks: ChunkWriter::new(level)?, defined: HashSet::new(), scratch: Vec::new() })
    }

    /// A definition by its id, unless the payload has it already.
    pub fn relation(&mut self, id: RelationId, relation: &Relation) -> Result<(), ChunkError> {
        if self.defined.insert(id) {
            self.scratch.clear();
            self.scratch.push(b'R');
            put_prefixed(&mut self.scratch, &relation.encode());
            self.chunks.record(&self.scratch)?;
        }
        Ok(())
    }

    /// A transaction's run.
    pub fn transaction(&mut self, lsn: Lsn, run: &[u8]) -> Result<(), ChunkError> {
        self.scratch.clear();
        self.scratch.push(b'T');
        self.scratch.extend_from_slice(&lsn.get().to_be_bytes());
        put_prefixed(&mut self.scratch, run);
        self.chunks.record(&self.scratch)
    }

    /// A run that is kept in part objects.
    pub fn huge(&mut self, huge: &HugeTransaction) -> Result<(), ChunkError> {
        self.scratch.clear();
        self.scratch.push(b'H');
        self.scratch.extend_from_slice(&huge.lsn.get().to_be_bytes());
        self.scratch.extend_from_slice(&huge.raw_len.to_be_bytes());
        self.scratch.extend_from_slice(huge.digest.as_bytes());
        put_varint(&mut self.scratch, huge.parts.len() as u64);
        for part in &huge.parts {
            self.scratch.extend_from_slice(part.as_bytes());
        }
        self.chunks.record(&self.scratch)
    }

    /// Any record, as it was read: for packing without decoding changes.
    pub fn record(&mut self, record: &Record) -> Result<(), ChunkError> {
        match record {
            Record::Relation(relation) => self.relation(relation.id(), relation),
            Record::Transaction { lsn, run } => self.transaction(*lsn, run),
            Record::Huge(huge) => self.huge(huge),
        }
    }

    /// Uncompressed bytes so far.
    pub fn raw_len(&self) -> u64 {
        self.chunks.raw_len()
    }

    /// Ends the payload: stored bytes and uncompressed length. The writer is ready for the next.
    pub fn finish(&mut self) -> Result<(Vec<u8>, u64), ChunkError> {
        self.defined.clear();
        self.chunks.finish()
    }
}
