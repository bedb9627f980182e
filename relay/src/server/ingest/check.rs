//! Checking an object that stands on the disk, a chunk at a time.

use bytes::Bytes;
use wire::{
    CHUNK_HEADER_LEN, Hash, MAX_CHUNK_RAW, MAX_HEADER_LEN, ObjectHeader, ObjectReader, check_chunks,
};

use crate::log::{Spool, StoreError};

/// Why an object is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    /// Not an object, or damaged.
    #[error("the object is damaged or malformed: {0}")]
    Malformed(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// More than a chunk can take: an incompressible one is a little longer than its content.
const MOST_STORED: u64 = MAX_CHUNK_RAW as u64 + (1 << 20);
const FRONT: usize = 64 << 10;
const READ: usize = 256 << 10;

fn malformed(error: impl std::fmt::Display) -> CheckError {
    CheckError::Malformed(error.to_string())
}

/// Reads back what was spooled: its header, and its name, once lengths and checksums are right.
pub(super) fn check(spool: &dyn Spool, len: u64) -> Result<(ObjectHeader, Hash), CheckError> {
    let (header, payload_at) = header(spool, len)?;
    let mut at = payload_at;
    let mut raw_len = 0_u64;
    while at < len {
        let front = spool.read_at(at, CHUNK_HEADER_LEN)?;
        let stored = front.get(4..8).and_then(|bytes| bytes.try_into().ok());
        let stored = u64::from(stored.map_or(0, u32::from_be_bytes));
        if stored > MOST_STORED {
            return Err(malformed(format_args!("a chunk claims {stored} bytes")));
        }
        let whole = CHUNK_HEADER_LEN as u64 + stored;
        let chunk = spool.read_at(at, usize::try_from(whole).unwrap_or(usize::MAX))?;
        raw_len += check_chunks(&chunk).map_err(malformed)?;
        at += whole;
    }
    if raw_len != header.raw_len {
        let claimed = header.raw_len;
        return Err(malformed(format_args!("it claims {claimed} bytes and holds {raw_len}")));
    }
    Ok((header, name(spool, len)?))
}

fn header(spool: &dyn Spool, len: u64) -> Result<(ObjectHeader, u64), CheckError> {
    let mut max = FRONT;
    loop {
        let front = spool.read_at(0, max)?;
        let read = front.len() as u64;
        match ObjectReader::decode(front) {
            Ok(object) => {
                let payload_at = read - object.payload().len() as u64;
                return Ok((object.header().clone(), payload_at));
            }
            Err(error) if read >= len || max > MAX_HEADER_LEN => return Err(malformed(error)),
            Err(_) => max = MAX_HEADER_LEN + FRONT,
        }
    }
}

fn name(spool: &dyn Spool, len: u64) -> Result<Hash, CheckError> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < len {
        let piece: Bytes = spool.read_at(at, READ)?;
        if piece.is_empty() {
            return Err(malformed("it became shorter while it was read"));
        }
        hasher.update(&piece);
        at += piece.len() as u64;
    }
    Ok(hasher.finalize().into())
}
