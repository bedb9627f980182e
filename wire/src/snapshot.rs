use serde::{Deserialize, Serialize};

use crate::{ChannelHashes, ChannelMap, ChannelName, Definitions, Hash, Lineage, Lsn};

/// All rows of the channels' tables as of one position. Capture posts it once all its objects are
/// at the relay; a terminal gets it with its channels only, and with URLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The history it belongs to.
    pub lineage: Lineage,
    /// Its position.
    pub lsn: Lsn,
    /// The channels' running hashes there.
    pub hashes: ChannelHashes,
    /// The channel map in force there.
    pub channel_map: ChannelMap,
    /// The definitions of its tables.
    pub definitions: Definitions,
    /// Its tables and where their rows are.
    pub tables: Vec<SnapshotTable>,
    /// When it was taken (RFC 3339, UTC).
    pub created_at: String,
}

impl Snapshot {
    /// Where and when it was taken.
    pub fn mark(&self) -> SnapshotMark {
        SnapshotMark { lsn: self.lsn, created_at: self.created_at.clone() }
    }
}

/// Where and when a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMark {
    /// Its position.
    pub lsn: Lsn,
    /// When it was taken (RFC 3339, UTC).
    pub created_at: String,
}

/// A table of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTable {
    /// Its OID on the master.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its channel.
    pub channel: ChannelName,
    /// The columns of its rows, in their order: the published ones that are not generated.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its rows in COPY text format.
    pub raw_len: u64,
    /// The objects that hold its rows, in order. A row is never split over two.
    pub objects: Vec<SnapshotObject>,
}

/// An object of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotObject {
    /// The blake3 of its bytes.
    pub name: Hash,
    /// Its bytes.
    pub len: u64,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of the rows in COPY text format.
    pub raw_len: u64,
    /// Where to fetch it, relative to the relay's address; set by the relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// `GET /v1/{source}/snapshot`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotList {
    /// The complete snapshots whose position the log has passed, newest first.
    pub snapshots: Vec<Snapshot>,
    /// The lineages that the log succeeds, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub succeeds: Vec<Lineage>,
}
