//! Objects are cached by anyone, so their bytes are compared with their name before the first
//! byte goes out; not again while the stored bytes stay as they are.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use wire::Hash;

use crate::log::{Objects, StoreError};

/// More are not remembered.
const MOST: usize = 4096;
const READ: usize = 256 << 10;

/// Which objects were found whole, under which stamp.
#[derive(Debug, Default)]
pub(super) struct Verified {
    stamps: Mutex<HashMap<Hash, u64>>,
}

impl Verified {
    /// The object's length, its bytes found right; none where there is no such object. Blocks.
    pub(super) fn len(&self, objects: &dyn Objects, name: Hash) -> Result<Option<u64>, StoreError> {
        let (Some(len), Some(stamp)) = (objects.len(name)?, objects.stamp(name)?) else {
            return Ok(None);
        };
        let known = |stamps: &mut HashMap<Hash, u64>| stamps.get(&name) == Some(&stamp);
        if known(&mut self.stamps.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(Some(len));
        }
        let found = hash(objects, name, len)?;
        if found != name {
            let detail = format!(
                "its bytes hash to {found}: the file is damaged; put it back from another relay or a copy, or take a new snapshot"
            );
            return Err(StoreError::corrupt(
                format!("object {name}"),
                begin(objects, name),
                detail,
            ));
        }
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if stamps.len() >= MOST {
            stamps.clear();
        }
        stamps.insert(name, stamp);
        Ok(Some(len))
    }
}

fn hash(objects: &dyn Objects, name: Hash, len: u64) -> Result<Hash, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < len {
        let piece = objects.read(name, at, READ)?;
        if piece.is_empty() {
            break;
        }
        hasher.update(&piece);
        at += piece.len() as u64;
    }
    Ok(hasher.finalize().into())
}

/// Where the object's range begins, if that much of it can still be read.
fn begin(objects: &dyn Objects, name: Hash) -> Option<wire::Lsn> {
    let front = objects.read(name, 0, READ).ok()?;
    match wire::ObjectReader::decode(front).ok()?.header().kind {
        wire::ObjectKind::Log { after, .. } => Some(after),
        wire::ObjectKind::Snapshot { lsn, .. } => Some(lsn),
        wire::ObjectKind::Transaction { .. } => None,
    }
}
