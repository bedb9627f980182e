//! Every payload is a row of chunks, each compressed and checksummed by itself, so that payloads
//! are joined by copying bytes and read in bounded memory.
//!
//! ```text
//! chunk := raw length u32 ‖ stored length u32 ‖ crc32c u32 ‖ zstd frame
//! ```
//!
//! The checksum covers the two lengths and the frame.

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

use crate::cursor::{DecodeError, Reader};

/// Bytes before the frame.
pub const CHUNK_HEADER_LEN: usize = 12;
/// The most that a chunk may hold, uncompressed: 16 MiB. What claims more is refused unread.
pub const MAX_CHUNK_RAW: usize = 16 << 20;
/// A chunk is closed when it holds this much: 256 KiB.
const CHUNK_TARGET: usize = 256 << 10;

/// Chunks that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// Not what chunks are.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The compression library refused.
    #[error("chunk: {0}")]
    Zstd(#[from] std::io::Error),
}

/// Writes chunks. The compressor's memory is kept from chunk to chunk and from payload to payload.
pub struct ChunkWriter {
    compressor: Compressor<'static>,
    raw: Vec<u8>,
    out: Vec<u8>,
    raw_len: u64,
}

impl std::fmt::Debug for ChunkWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkWriter").field("raw_len", &self.raw_len).finish_non_exhaustive()
    }
}

impl ChunkWriter {
    /// With a zstd level (1 quickest, 19 smallest).
    pub fn new(level: i32) -> Result<Self, ChunkError> {
        Ok(Self {
            compressor: Compressor::new(level)?,
            raw: Vec::new(),
            out: Vec::new(),
            raw_len: 0,
        })
    }

    /// Adds a record, which is never split over two chunks.
    ///
    /// # Errors
    /// A record longer than [`MAX_CHUNK_RAW`].
    pub fn record(&mut self, record: &[u8]) -> Result<(), ChunkError> {
        if record.len() > MAX_CHUNK_RAW {
            return Err(DecodeError::invalid("record length", record.len()).into());
        }
        if !self.raw.is_empty() && self.raw.len() + record.len() > CHUNK_TARGET {
            self.close_chunk()?;
        }
        self.raw.extend_from_slice(record);
        if self.raw.len() >= CHUNK_TARGET { self.close_chunk() } else { Ok(()) }
    }

    /// Adds bytes of a stream, which are cut wherever a chunk is full.
    pub fn stream(&mut self, mut bytes: &[u8]) -> Result<(), ChunkError> {
        while !bytes.is_empty() {
            let room = CHUNK_TARGET.saturating_sub(self.raw.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.raw.extend_from_slice(now);
            if self.raw.len() >= CHUNK_TARGET {
                self.close_chunk()?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Stored bytes so far, without the open chunk.
    pub fn stored_len(&self) -> usize {
        self.out.len()
    }

    /// Uncompressed bytes so far.
    pub fn raw_len(&self) -> u64 {
        self.raw_len + self.raw.len() as u64
    }

    /// Ends the payload: its stored bytes and its uncompressed length. The writer is ready for the
    /// next payload.
    pub fn finish(&mut self) -> Result<(Vec<u8>, u64), ChunkError> {
        self.close_chunk()?;
        if self.raw.capacity() > 2 * CHUNK_TARGET {
            self.raw = Vec::new();
        }
        Ok((std::mem::take(&mut self.out), std::mem::take(&mut self.raw_len)))
    }

    fn close_chunk(&mut self) -> Result<(), ChunkError> {
        if self.raw.is_empty() {
            return Ok(());
        }
        let at = self.out.len();
        let bound = zstd::zstd_safe::compress_bound(self.raw.len());
        self.out.resize(at + CHUNK_HEADER_LEN + bound, 0);
        let (_, open) = self.out.split_at_mut(at);
        let (header, frame) = open.split_at_mut(CHUNK_HEADER_LEN);
        let stored = self.compressor.compress_to_buffer(&self.raw, frame)?;
        let (lengths, sum) = header.split_at_mut(8);
        let (raw_len, stored_len) = lengths.split_at_mut(4);
        let too_long = |_| DecodeError::invalid("chunk length", "more than 4 GiB");
        raw_len.copy_from_slice(&u32::try_from(self.raw.len()).map_err(too_long)?.to_be_bytes());
        stored_len.copy_from_slice(&u32::try_from(stored).map_err(too_long)?.to_be_bytes());
        let crc = crc32c::crc32c(lengths);
        let crc = crc32c::crc32c_append(crc, frame.get(..stored).unwrap_or_default());
        sum.copy_from_slice(&crc.to_be_bytes());
        self.out.truncate(at + CHUNK_HEADER_LEN + stored);
        self.raw_len += self.raw.len() as u64;
        self.raw.clear();
        Ok(())
    }
}

/// A chunk's header and frame, its checksum found right.
struct Chunk<'a> {
    raw_len: usize,
    frame: &'a [u8],
}

fn next_chunk<'a>(r: &mut Reader<'a>) -> Result<Chunk<'a>, DecodeError> {
    let mut lengths = Reader::new(r.rest());
    let covered = lengths.bytes("chunk header", 8)?;
    let raw_len = r.u32("chunk raw length")?;
    let stored_len = r.u32("chunk stored length")?;
    let stored = r.u32("chunk checksum")?;
    let limit = MAX_CHUNK_RAW as u64;
    if u64::from(raw_len) > limit || raw_len == 0 {
        return Err(DecodeError::invalid("chunk raw length", raw_len));
    }
    let too_long =
        |_| DecodeError::invalid("chunk length", "more than this machine's address space");
    let frame = r.bytes("chunk", usize::try_from(stored_len).map_err(too_long)?)?;
    let computed = crc32c::crc32c_append(crc32c::crc32c(covered), frame);
    if computed != stored {
        return Err(DecodeError::Checksum { what: "chunk", computed, stored });
    }
    Ok(Chunk { raw_len: usize::try_from(raw_len).map_err(too_long)?, frame })
}

/// Checks lengths and checksums of a row of chunks without decompressing; returns how many
/// uncompressed bytes they claim to hold.
pub fn check_chunks(payload: &[u8]) -> Result<u64, DecodeError> {
    let mut r = Reader::new(payload);
    let mut raw_len = 0;
    while !r.is_empty() {
        raw_len += next_chunk(&mut r)?.raw_len as u64;
    }
    Ok(raw_len)
}

/// Reads a payload chunk by chunk.
pub struct ChunkReader {
    payload: Bytes,
    decompressor: Decompressor<'static>,
}

impl std::fmt::Debug for ChunkReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkReader").field("left", &self.payload.len()).finish_non_exhaustive()
    }
}

impl ChunkReader {
    /// Over the bytes of a whole payload.
    pub fn new(payload: Bytes) -> Result<Self, ChunkError> {
        Ok(Self { payload, decompressor: Decompressor::new()? })
    }

    /// The next chunk's uncompressed bytes, at most [`MAX_CHUNK_RAW`]; `None` at the end.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, ChunkError> {
        if self.payload.is_empty() {
            return Ok(None);
        }
        let mut r = Reader::new(&self.payload);
        let chunk = next_chunk(&mut r)?;
        let raw = self.decompressor.decompress(chunk.frame, chunk.raw_len)?;
        if raw.len() != chunk.raw_len {
            return Err(DecodeError::invalid("chunk raw length", chunk.raw_len).into());
        }
        self.payload = self.payload.slice_ref(r.rest());
        Ok(Some(raw.into()))
    }
}
