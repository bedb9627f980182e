use bytes::Bytes;
use wire::ChunkReader;

use super::{
    error::Malformed,
    object_file::{FileChunks, ObjectFile},
};

/// A channel's records of one range: in memory, from a slice, or in a spooled object. Can be read
/// more than once.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A row of chunks.
    Memory(Bytes),
    /// A log object.
    Object(ObjectFile),
}

impl Payload {
    pub(super) fn chunks(&self) -> Result<Chunks, Malformed> {
        Ok(match self {
            Self::Memory(payload) => Chunks::Memory(Box::new(ChunkReader::new(payload.clone())?)),
            Self::Object(object) => Chunks::File(object.open()?.1),
        })
    }
}

/// A payload that is being read.
#[derive(Debug)]
pub(super) enum Chunks {
    Memory(Box<ChunkReader>),
    File(FileChunks),
}

impl Chunks {
    pub(super) fn next_chunk(&mut self) -> Result<Option<Bytes>, Malformed> {
        match self {
            Self::Memory(chunks) => Ok(chunks.next_chunk()?),
            Self::File(chunks) => chunks.next_chunk(),
        }
    }
}
