//! The live end of the log: slices that are not in closed ranges yet.

use bytes::Bytes;
use wire::{Lsn, PartObject, Slice, SliceHeader};

use super::{error::StoreError, range::ClosedRange};

/// What the tail holds of a range of the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    /// A slice, whole.
    Slice(&'a Slice),
    /// A closed range: its payloads are objects already.
    Range(&'a ClosedRange),
}

impl Item<'_> {
    /// What it says of itself.
    pub(super) fn header(&self) -> &SliceHeader {
        match self {
            Self::Slice(slice) => slice.header(),
            Self::Range(range) => &range.header,
        }
    }
}

/// An item's header, and what is needed to read the rest piece by piece.
#[derive(Clone, Debug)]
pub(super) struct StoredHeader {
    /// What the item says of itself.
    pub(super) header: SliceHeader,
    /// The objects of a closed range, in the order of the header's channels; none for a slice.
    pub(super) objects: Option<Vec<PartObject>>,
    /// Where a slice's first payload begins.
    pub(super) payload_at: u64,
    /// Bytes of the item in all.
    pub(super) len: u64,
}

impl StoredHeader {
    /// The item as a closed range, where it is one.
    pub(super) fn into_range(self) -> Option<ClosedRange> {
        let Self { header, objects, .. } = self;
        objects.map(|objects| ClosedRange { header, objects })
    }
}

/// Keeps the newest items, in order, in an engine of its own. One writer, many readers.
pub(super) trait Tail: Send + Sync + std::fmt::Debug {
    /// Adds an item behind the newest; on disk once [`Tail::sync`] has returned. `replaces` names
    /// the end of a progress slice whose place it takes.
    fn append(&self, item: Item<'_>, replaces: Option<Lsn>) -> Result<(), StoreError>;

    /// Waits until all that was added is on disk (survives a power cut).
    fn sync(&self) -> Result<(), StoreError>;

    /// The header of the item that holds what comes right after `position`: the first whose
    /// `through` is greater.
    fn header(&self, position: Lsn) -> Result<Option<StoredHeader>, StoreError>;

    /// At most `max` bytes, from `offset`, of the item that ends at `through`; at least one byte.
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
}
