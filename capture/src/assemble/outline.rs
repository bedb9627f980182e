//! What goes into the assembler at its start, and what comes out of it.

use wire::{ChannelHashes, ChannelMap, Commit, Lineage, Lsn, Slice, SourceName};

use super::huge::PartUpload;

/// What the slices say of themselves, and how large things may grow.
#[derive(Debug, Clone)]
pub struct AssemblerSettings {
    /// The source.
    pub source: SourceName,
    /// The history it belongs to.
    pub lineage: Lineage,
    /// The session, which part objects carry.
    pub session: u64,
    /// zstd level of slices, which the relay packs again. Default 1.
    pub slice_level: i32,
    /// zstd level of part objects. Default 1: what makes them is one statement, and waits for nothing else.
    pub part_level: i32,
    /// A transaction that holds more bytes than this is sent in parts. Default 4 MiB.
    pub drain_above: usize,
    /// The most that one part holds, uncompressed. Default 8 MiB.
    pub part_raw: usize,
}

impl AssemblerSettings {
    /// With the defaults.
    pub fn new(source: SourceName, lineage: Lineage, session: u64) -> Self {
        let (slice_level, part_level) = (1, 1);
        let (drain_above, part_raw) = (4 << 20, 8 << 20);
        Self { source, lineage, session, slice_level, part_level, drain_above, part_raw }
    }
}

/// Where the log stands, and where the slot does.
#[derive(Debug, Clone)]
pub struct StartingPoint {
    /// The relay's newest position. What ends at or before it is not sent again.
    pub head: Lsn,
    /// The channels' hashes there.
    pub hashes: ChannelHashes,
    /// The channel map in force there.
    pub channel_map: ChannelMap,
    /// The newest commit in the log.
    pub known: Option<Commit>,
    /// The slot's `confirmed_flush_lsn`: nothing before it comes again.
    pub confirmed: Lsn,
}

/// What leaves, in this order. A slice may be sent once the parts before it are at the relay.
#[derive(Debug)]
pub enum Output {
    /// A part of a transaction that is still coming.
    Part(PartUpload),
    /// A slice.
    Slice(Slice),
}
