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

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use wire::ObjectKind;

    use super::*;
    use crate::feed::object;

    /// An object of which only the beginning is written, the rest being zeros; remembers how much
    /// was asked for at once.
    struct Sparse {
        front: Bytes,
        len: u64,
        most: AtomicUsize,
    }

    impl Write for Sparse {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Spool for Sparse {
        fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, StoreError> {
            let left = usize::try_from(self.len.saturating_sub(offset)).unwrap();
            self.most.fetch_max(max.min(left), Ordering::Relaxed);
            let from = usize::try_from(offset).unwrap().min(self.front.len());
            let mut found = self.front.slice(from..).to_vec();
            // What a machine can hold in a test.
            found.resize(max.min(left).min(32 << 20), 0);
            Ok(found.into())
        }

        fn keep(self: Box<Self>, _: Hash) -> Result<(), StoreError> {
            Ok(())
        }
    }

    fn most_read(front: Vec<u8>) -> usize {
        let most = AtomicUsize::new(0);
        let spool = Sparse { front: front.into(), len: 1 << 30, most };
        assert!(matches!(check(&spool, spool.len), Err(CheckError::Malformed(_))));
        spool.most.into_inner()
    }

    /// Of an object of a gibibyte no more is read at once than a header or a chunk can take.
    #[test]
    fn a_lying_length_reads_no_more_than_a_chunk() {
        let kind = ObjectKind::Transaction { session: 1, xid: 1, part: 0 };
        let (_, bytes) = object(wire::Lineage::from_bytes([1; 16]), "a", kind, b"1");
        let payload = ObjectReader::decode(bytes.clone()).unwrap().payload().len();
        let header = &bytes[..bytes.len() - payload];
        let lengths = [1_u32.to_be_bytes(), (1_u32 << 29).to_be_bytes()].concat();
        let most = most_read([header, &lengths, &[0; 4]].concat());
        assert!(most <= FRONT, "{most} bytes for a chunk that claims half a gibibyte");
        let most = most_read([b"TWOB\x00\x01".as_slice(), &(1_u32 << 29).to_be_bytes()].concat());
        assert!(most <= MAX_HEADER_LEN + FRONT, "{most} bytes for such a header");
    }
}
