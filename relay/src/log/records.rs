//! What the catalogue is kept in: an ordered map that survives.

use bytes::Bytes;

use super::error::StoreError;

/// Changes that become visible and durable together.
#[derive(Debug, Default)]
pub(crate) struct RecordBatch {
    /// Keys with their new values; `None` removes.
    pub changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl RecordBatch {
    /// Sets a record.
    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push((key, Some(value)));
    }

    /// Removes a record.
    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.changes.push((key, None));
    }
}

/// An ordered map of records of any length. No key may be another key and a byte below 2.
pub(crate) trait Records: Send + Sync + std::fmt::Debug {
    /// Applies the changes; on disk when it returns.
    fn write(&self, batch: RecordBatch) -> Result<(), StoreError>;

    /// A record.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The first record whose key begins with `prefix` and is greater than `after`.
    fn next(&self, prefix: &[u8], after: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError>;

    /// The keys that begin with `prefix`, in order.
    fn keys(&self, prefix: &[u8]) -> Result<Vec<Bytes>, StoreError>;

    /// Opens it anew after an error.
    fn reopen(&self) -> Result<(), StoreError>;

    /// Bytes on disk.
    fn disk_bytes(&self) -> u64;
}
