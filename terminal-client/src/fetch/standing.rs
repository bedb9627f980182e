use wire::{Lineage, Lsn};

/// What a relay said about an answer to a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The log's lineage.
    pub lineage: Lineage,
    /// The newest position there.
    pub head: Lsn,
    /// The position that the answer reaches.
    pub through: Lsn,
}
