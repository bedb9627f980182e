//! The catalogue's map on sled. A record longer than the engine likes takes several keys:
//!
//! ```text
//! key   := record's key ‖ place u32
//! value := "TWCT" ‖ version u8 ‖ length u32 ‖ crc32c u32 (of key, length and piece) ‖ piece
//! ```

use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use bytes::{Bytes, BytesMut};

use super::database::{Batch, Database, check_room};
use crate::log::{
    error::StoreError,
    records::{RecordBatch, Records},
};

const MAGIC: [u8; 5] = *b"TWCT\x01";
const HEADER_LEN: usize = 13;
const PLACE_LEN: usize = 4;
const PIECE: usize = (60 << 10) - HEADER_LEN;

/// One sled database.
#[derive(Debug)]
pub(crate) struct SledRecords {
    path: PathBuf,
    /// None only while it is being opened anew.
    database: RwLock<Option<Database>>,
}

impl SledRecords {
    /// Opens the database in `path`, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = RwLock::new(Some(Database::open(path)?));
        Ok(Self { path: path.to_owned(), database })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let closed =
            || StoreError::Engine { path: self.path.clone(), detail: "it is closed".to_owned() };
        work(database.as_ref().ok_or_else(closed)?)
    }

    fn corrupt(&self, detail: &str) -> StoreError {
        let what = format!("catalogue {}", self.path.display());
        StoreError::corrupt(
            what,
            None,
            format_args!("{detail}; restore it, or begin the source anew"),
        )
    }

    /// The record whose first piece is `value`.
    fn join(&self, database: &Database, key: &[u8], value: &Bytes) -> Result<Bytes, StoreError> {
        let damaged = || self.corrupt("a record's checksum does not match");
        let (len, piece) = decode(&placed(key, 0), value).ok_or_else(damaged)?;
        if piece.len() == len {
            return Ok(piece);
        }
        let mut joined = BytesMut::from(piece.as_ref());
        for place in 1.. {
            if joined.len() >= len {
                break;
            }
            let key = placed(key, place);
            let value = database.get(&key)?.ok_or_else(|| self.corrupt("a record is cut off"))?;
            joined.extend_from_slice(&decode(&key, &value).ok_or_else(damaged)?.1);
        }
        Ok(joined.freeze())
    }
}

/// Behind every place of `key`, before every longer key.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[1]].concat()
}

fn placed(key: &[u8], place: u32) -> Vec<u8> {
    [key, &place.to_be_bytes()].concat()
}

fn encode(key: &[u8], len: u32, piece: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + piece.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&len.to_be_bytes());
    let crc =
        [&out, piece].iter().fold(crc32c::crc32c(key), |crc, b| crc32c::crc32c_append(crc, b));
    out.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(piece);
    out
}

fn decode(key: &[u8], value: &Bytes) -> Option<(usize, Bytes)> {
    let (head, piece) = value.split_at_checked(HEADER_LEN)?;
    let (_, len) = head.split_at_checked(MAGIC.len())?;
    let len = u32::from_be_bytes(len.get(..4)?.try_into().ok()?);
    let whole = encode(key, len, piece);
    (whole == value[..]).then(|| Some((usize::try_from(len).ok()?, value.slice_ref(piece))))?
}

impl Records for SledRecords {
    fn write(&self, batch: RecordBatch) -> Result<(), StoreError> {
        self.with(|database| {
            let mut out = Batch::default();
            for (key, value) in batch.changes {
                for old in keys_of(database, &key)? {
                    out.remove(&old);
                }
                let Some(value) = value else { continue };
                let len = u32::try_from(value.len())
                    .map_err(|_| self.corrupt("a record of more than 4 GiB"))?;
                let pieces = value.chunks(PIECE).chain(value.is_empty().then_some(&[][..]));
                for (place, piece) in (0..).zip(pieces) {
                    let key = placed(&key, place);
                    let piece = encode(&key, len, piece);
                    out.put(&key, piece);
                }
            }
            database.apply(out)?;
            database.sync()
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.with(|database| {
            let first = database.get(&placed(key, 0))?;
            first.map(|value| self.join(database, key, &value)).transpose()
        })
    }

    fn next(&self, prefix: &[u8], after: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        // The prefix itself is no record's key, and the keys behind it may go on with any byte.
        let from = if after <= prefix { prefix.to_vec() } else { behind(after) };
        self.with(|database| {
            let Some((found, value)) = database.first_from(&from)? else {
                return Ok(None);
            };
            if !found.starts_with(prefix) {
                return Ok(None);
            }
            let key = found.slice(..found.len().saturating_sub(PLACE_LEN));
            let value = self.join(database, &key, &value)?;
            Ok(Some((key, value)))
        })
    }

    fn keys(&self, prefix: &[u8]) -> Result<Vec<Bytes>, StoreError> {
        self.with(|database| {
            let mut found: Vec<Bytes> = Vec::new();
            loop {
                let from = found.last().map_or_else(|| prefix.to_vec(), |last| behind(last));
                let Some((next, _)) = database.first_from(&from)? else { break };
                if !next.starts_with(prefix) {
                    break;
                }
                found.push(next.slice(..next.len().saturating_sub(PLACE_LEN)));
            }
            Ok(found)
        })
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        check_room(&self.path, 1)?;
        *database = None;
        *database = Some(Database::open(&self.path)?);
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.with(|database| Ok(database.disk_bytes())).unwrap_or(0)
    }
}

/// All keys that a record takes.
fn keys_of(database: &Database, key: &[u8]) -> Result<Vec<Bytes>, StoreError> {
    let mut keys = Vec::new();
    for place in 0.. {
        let key = placed(key, place);
        if database.get(&key)?.is_none() {
            break;
        }
        keys.push(key.into());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_shows() {
        let value = encode(b"key", 9, b"piece");
        assert_eq!(decode(b"key", &value.clone().into()), Some((9, Bytes::from_static(b"piece"))));
        assert_eq!(decode(b"kex", &value.clone().into()), None, "under another's key");
        for at in 0..value.len() * 8 {
            let mut damaged = value.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            assert_eq!(decode(b"key", &damaged.into()), None, "bit {at}");
        }
    }
}
