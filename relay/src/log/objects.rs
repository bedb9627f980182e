//! Immutable objects by name.

use std::io::Write;

use bytes::Bytes;
use wire::Hash;

use super::error::StoreError;

/// An object under construction; dropped without [`Spool::keep`], it leaves nothing.
pub(crate) trait Spool: Write + Send {
    /// Reads back what was written: at most `max` bytes from `offset`.
    fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, StoreError>;

    /// Makes it durable under its name, which must be the blake3 of what was written, in place of an
    /// object of that name that is there already.
    fn keep(self: Box<Self>, name: Hash) -> Result<(), StoreError>;
}

/// Keeps immutable objects.
pub(crate) trait Objects: Send + Sync + std::fmt::Debug {
    /// Begins an object.
    fn spool(&self) -> Result<Box<dyn Spool>, StoreError>;

    /// The object's length; none where there is no such object.
    fn len(&self, name: Hash) -> Result<Option<u64>, StoreError>;

    /// At most `max` bytes from `offset`; fewer only at its end.
    fn read(&self, name: Hash, offset: u64, max: usize) -> Result<Bytes, StoreError>;

    /// A mark that changes when the stored bytes may have changed; none where there is no object.
    fn stamp(&self, name: Hash) -> Result<Option<u64>, StoreError>;

    /// Removes it, if it is there.
    fn remove(&self, name: Hash) -> Result<(), StoreError>;

    /// Bytes of all objects.
    fn disk_bytes(&self) -> u64;
}
