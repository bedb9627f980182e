//! The live end of the log: slices that are not in closed ranges yet.

use bytes::{Bytes, BytesMut};
use wire::{Lsn, Slice, SliceHeader};

use super::error::StoreError;

/// A slice's header, and what is needed to read the rest piece by piece.
#[derive(Clone, Debug)]
pub(super) struct StoredHeader {
    /// What the slice says of itself.
    pub header: SliceHeader,
    /// Where its first payload begins.
    pub payload_at: u64,
    /// Bytes of the slice in all.
    pub len: u64,
}

/// Keeps the newest slices, in order, in an engine of its own. One writer, many readers.
pub(super) trait Tail: Send + Sync + std::fmt::Debug {
    /// Adds a slice behind the newest; on disk once [`Tail::sync`] has returned. `replaces` names
    /// the end of a progress slice whose place it takes.
    fn append(&self, slice: &Slice, replaces: Option<Lsn>) -> Result<(), StoreError>;

    /// Waits until all that was added is on disk (survives a power cut).
    fn sync(&self) -> Result<(), StoreError>;

    /// The header of the slice that holds what comes right after `position`: the first whose
    /// `through` is greater.
    fn header(&self, position: Lsn) -> Result<Option<StoredHeader>, StoreError>;

    /// At most `max` bytes, from `offset`, of the slice that ends at `through`; at least one byte.
    fn piece(&self, through: Lsn, offset: u64, max: usize) -> Result<Bytes, StoreError>;

    /// Up to where slices should be sealed, so that the room they take can be used again.
    fn sealable(&self) -> Option<Lsn>;

    /// Whether there is room for more before something has been sealed and trimmed.
    fn has_room(&self) -> bool;

    /// Says that everything up to `through` is in closed ranges. What is dropped, and when, is the
    /// engine's choice.
    fn trim(&self, through: Lsn) -> Result<(), StoreError>;

    /// Opens it anew after an error; afterwards it holds a prefix of what was added, and at least
    /// all that was synced.
    fn reopen(&self) -> Result<(), StoreError>;

    /// Bytes on disk.
    fn disk_bytes(&self) -> u64;

    /// The whole slice that holds what comes right after `position`.
    fn slice(&self, position: Lsn) -> Result<Option<Slice>, StoreError> {
        let Some(stored) = self.header(position)? else { return Ok(None) };
        let through = stored.header.through;
        let mut bytes = BytesMut::with_capacity(usize::try_from(stored.len).unwrap_or(0));
        while (bytes.len() as u64) < stored.len {
            bytes.extend_from_slice(&self.piece(through, bytes.len() as u64, usize::MAX)?);
        }
        Slice::decode(bytes.freeze())
            .map(Some)
            .map_err(|error| StoreError::corrupt("slice", Some(stored.header.after), error))
    }
}
