//! The HTTP interface's headers and JSON bodies; `docs/PROTOCOL.md` describes the exchange.

use serde::{Deserialize, Serialize};

use crate::{
    ChannelHashes, ChannelMap, ChannelName, Commit, Hash, Lineage, Lsn, SnapshotMark, SourceName,
    TerminalName,
};

/// Content type of a row of slices.
pub const SLICES_TYPE: &str = "application/vnd.tailwater.slices";
/// Content type of a [`Manifest`].
pub const MANIFEST_TYPE: &str = "application/vnd.tailwater.manifest+json";
/// Content type of a [`crate::Problem`].
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// Header names, in lower case.
pub mod headers {
    /// Answer to a pull: the log's lineage. Request of a pull: the terminal's.
    pub const LINEAGE: &str = "tailwater-lineage";
    /// Answer to a pull: the newest durable position.
    pub const HEAD: &str = "tailwater-head";
    /// Answer to a pull: the position that this answer reaches.
    pub const THROUGH: &str = "tailwater-through";
    /// Answer to a pull and to the question for snapshots: the channels that the token allows, a
    /// [`crate::ChannelSet`].
    pub const CHANNELS: &str = "tailwater-channels";
    /// Answer to the question for snapshots: capture's state, as in [`super::CaptureState`].
    pub const CAPTURE: &str = "tailwater-capture";
    /// Append and upload: the capture session's number.
    pub const SESSION: &str = "tailwater-session";
    /// Pull: the terminal's name.
    pub const TERMINAL: &str = "tailwater-terminal";
    /// Pull: the position that the terminal's database has flushed.
    pub const APPLIED: &str = "tailwater-applied";
    /// Pull: the terminal's state, as in [`super::TerminalState`].
    pub const STATE: &str = "tailwater-state";
    /// Pull: the terminal's last error, percent-encoded UTF-8.
    pub const ERROR: &str = "tailwater-error";
    /// Pull: the terminal's running hashes, `channel=hex` separated by commas.
    pub const HASHES: &str = "tailwater-hashes";
}

/// What is known of the master behind a source, kept beside its lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `IDENTIFY_SYSTEM`'s system identifier.
    pub system_identifier: String,
    /// The database's OID.
    pub database_oid: u32,
    /// The database's name.
    pub database: String,
    /// The timeline.
    pub timeline: u32,
    /// The slot's name.
    pub slot: String,
}

/// `POST /v1/{source}/session`: a capture that holds the slot opens a session; older sessions of
/// the source are fenced from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRequest {
    /// The master as capture sees it.
    pub facts: Facts,
    /// Mint a lineage where the relay has none: said before the slot is created.
    #[serde(default)]
    pub begin: bool,
    /// Begin a log that takes the place of the one there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeed: Option<Succession>,
}

/// A history that ended, and that another one of the same source succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    /// The history.
    pub lineage: Lineage,
    /// Why it ended, for whoever followed it.
    pub why: String,
}

/// What the relay has of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAnswer {
    /// The session's number; larger is newer. 0 where the relay has nothing and `begin` was not said.
    pub session: u64,
    /// The log's lineage; none where the relay has nothing.
    pub lineage: Option<Lineage>,
    /// The newest durable position; none until the first snapshot is complete.
    pub head: Option<Lsn>,
    /// The oldest position the log can be read from.
    pub horizon: Option<Lsn>,
    /// The channels' running hashes at head.
    pub hashes: ChannelHashes,
    /// The channel map in force at head.
    pub channel_map: Option<ChannelMap>,
    /// The newest commit in the log.
    pub known: Option<Commit>,
    /// The master as the log has known it.
    pub facts: Option<Facts>,
    /// The newest snapshot, complete though the log may not have reached it.
    #[serde(default)]
    pub snapshot: Option<SnapshotMark>,
    /// The lineages that the log succeeds, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub succeeds: Vec<Lineage>,
}

/// Answer to `POST /v1/{source}/log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendAnswer {
    /// The newest durable position, at or behind the slice's `through`.
    pub durable: Lsn,
}

/// Answer to `POST /v1/{source}/objects`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadAnswer {
    /// The blake3 of the bytes.
    pub name: Hash,
    /// Their number.
    pub len: u64,
}

/// The objects that hold closed ranges, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The source.
    pub source: SourceName,
    /// The history it belongs to.
    pub lineage: Lineage,
    /// Ranges without a gap between them; the first may begin before the position asked for.
    pub ranges: Vec<ManifestRange>,
}

/// A closed range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRange {
    /// Everything at this position is before the range.
    pub after: Lsn,
    /// Everything at this position is in the range or before it.
    pub through: Lsn,
    /// Its last commit.
    pub commit: Option<Commit>,
    /// Transactions in all channels.
    pub transactions: u64,
    /// Changes in all channels.
    pub changes: u64,
    /// The channels asked for that it touches.
    pub channels: Vec<ManifestChannel>,
}

/// A channel's share of a closed range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestChannel {
    /// The channel.
    pub channel: ChannelName,
    /// Its running hash before the range.
    pub before: Hash,
    /// And after it.
    pub after: Hash,
    /// Transactions that touch it.
    pub transactions: u64,
    /// Changes in it.
    pub changes: u64,
    /// Bytes uncompressed, without part objects.
    pub raw_len: u64,
    /// The object with the records.
    pub object: ManifestObject,
    /// The part objects that its `H` records name, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ManifestObject>,
}

/// An object and where to fetch it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestObject {
    /// The blake3 of its bytes.
    pub name: Hash,
    /// Its bytes.
    pub len: u64,
    /// Relative to the relay's address, signed.
    pub url: String,
}

/// `POST /v1/{source}/report`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Report {
    /// A terminal's last word after its last commit.
    Terminal(TerminalReport),
    /// A capture's state.
    Capture(CaptureReport),
}

/// A terminal's report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TerminalReport {
    /// Its name.
    pub terminal: TerminalName,
    /// The history it follows; none before its first load.
    pub lineage: Option<Lineage>,
    /// The position that its database has flushed; none before its first load.
    pub applied: Option<Lsn>,
    /// Its state.
    pub state: TerminalState,
    /// Its last error.
    #[serde(default)]
    pub error: Option<String>,
    /// Transactions applied by this run.
    #[serde(default)]
    pub transactions: u64,
    /// Changes applied by this run.
    #[serde(default)]
    pub changes: u64,
    /// Where it is otherwise than the source; none where this report does not say.
    #[serde(default)]
    pub divergence: Option<Divergence>,
}

/// Where a terminal was found otherwise than the source, or is so knowingly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// Changes since its first load whose row was not there.
    pub row_missing: u64,
    /// Changes since its first load for which a row was there that should not have been.
    pub row_present: u64,
    /// Transactions in its quarantine.
    pub quarantined: u64,
}

/// A capture's report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaptureReport {
    /// Its session, 0 for none.
    pub session: u64,
    /// Its state.
    pub state: CaptureState,
    /// The slot's name.
    pub slot: String,
    /// The master's current write position, where it can be asked.
    pub master: Option<Lsn>,
    /// WAL that the slot holds back, bytes.
    pub retained_bytes: Option<u64>,
    /// WAL that may still be written before the master drops some of that, bytes; none where it sets no limit.
    #[serde(default)]
    pub safe_wal_bytes: Option<u64>,
    /// Seconds until then at the present rate; none where it does not come nearer.
    #[serde(default)]
    pub slot_time_left_seconds: Option<u64>,
    /// How far a copy is that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyProgress>,
    /// What is wrong, and what to do.
    pub error: Option<String>,
}

/// How far a copy of all tables is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyProgress {
    /// `first copy` or `snapshot`.
    pub what: String,
    /// Of `bytes_total`, those whose rows were read.
    pub bytes_done: u64,
    /// What the tables take on the master's disk, bytes.
    pub bytes_total: u64,
    /// Rows that were read.
    pub rows: u64,
    /// `bytes_done` of `bytes_total`; 99 until all is at the relay.
    pub percent: u8,
    /// At the rate so far; none where it cannot be told yet.
    #[serde(default)]
    pub seconds_left: Option<u64>,
}

/// What a terminal is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TerminalState {
    /// Taking its first snapshot.
    Loading,
    /// At the head, or close to it.
    Ok,
    /// Behind the head.
    Behind,
    /// Not heard of for a while.
    Offline,
    /// Stopped by an error.
    Error,
    /// Below the horizon.
    Expired,
}

/// What a capture is doing, or why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureState {
    /// Not heard of yet.
    Unknown,
    /// Connecting or checking.
    Starting,
    /// Waiting until the slot is free.
    WaitingForSlot,
    /// Copying the rows that exist.
    Copying,
    /// Following the stream.
    Streaming,
    /// Following the stream, but no known commit proves that the master is the same.
    Unproved,
    /// Not heard of for a while.
    Offline,
    /// The slot is gone.
    SlotMissing,
    /// The slot was invalidated; WAL that was not captured is lost.
    SlotLost,
    /// The slot's position is past the relay's head.
    RelayBehindSlot,
    /// The relay's head is past the master's position: the master was restored from a backup.
    MasterBehindRelay,
    /// The known commit did not come again as it was: another history.
    OtherHistory,
    /// Another system identifier or database.
    OtherMaster,
    /// The publication is gone or altered.
    PublicationChanged,
    /// The master holds a value that it cannot send.
    ValueTooLarge,
    /// Stopped by another error.
    Error,
}

/// `GET /v1/sources`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceList {
    /// The sources.
    pub sources: Vec<SourceName>,
}

/// `GET /v1/{source}/lag`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lag {
    /// The source.
    pub source: SourceName,
    /// Its history.
    pub lineage: Lineage,
    /// The master.
    pub master: MasterLag,
    /// This relay.
    pub relay: RelayLag,
    /// The capture.
    pub capture: CaptureLag,
    /// The terminals, by name.
    pub terminals: Vec<TerminalLag>,
}

/// `GET /v1/{source}/behind`: what lies between a position and the head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Behind {
    /// The log's history.
    pub lineage: Lineage,
    /// Newest durable position.
    pub head: Lsn,
    /// Bytes of WAL from the position to head.
    pub lag_bytes: u64,
    /// Seconds since the oldest commit behind the position, of any channel; 0 at the head.
    pub lag_seconds: f64,
    /// Transactions that touch the channels asked for, at least.
    pub least_transactions: u64,
    /// And at most; none where not all were counted.
    pub most_transactions: Option<u64>,
    /// Bytes that a pull of all of it fetches, compressed as the relay keeps them; at least so many where not
    /// all were counted.
    pub fetch_bytes: u64,
}

/// The master, as capture last saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MasterLag {
    /// Its write position.
    pub lsn: Option<Lsn>,
    /// When it was seen (RFC 3339, UTC).
    pub seen_at: Option<String>,
}

/// The relay's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelayLag {
    /// Newest durable position.
    pub head: Option<Lsn>,
    /// Oldest position it can be read from.
    pub horizon: Option<Lsn>,
    /// Bytes of WAL from head to the master's position.
    pub lag_bytes: u64,
    /// Seconds since head was as new as the master.
    pub lag_seconds: f64,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
}

/// The capture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaptureLag {
    /// Its state.
    pub state: CaptureState,
    /// The slot's name.
    pub slot: Option<String>,
    /// WAL that the slot holds back on the master, bytes.
    pub retained_bytes: u64,
    /// When it was last heard of (RFC 3339, UTC).
    pub last_contact: Option<String>,
    /// How far a copy is; only while one is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyProgress>,
    /// What is wrong.
    pub error: Option<String>,
}

/// A terminal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TerminalLag {
    /// Its name.
    pub name: TerminalName,
    /// The position that its database has flushed.
    pub applied: Option<Lsn>,
    /// Bytes of WAL from there to head.
    pub lag_bytes: u64,
    /// Seconds since the oldest commit that it lacks; 0 at the head.
    pub lag_seconds: f64,
    /// When it was last heard of (RFC 3339, UTC).
    pub last_seen: Option<String>,
    /// Its state.
    pub state: TerminalState,
    /// Its last error.
    pub error: Option<String>,
    /// Where it is otherwise than the source.
    #[serde(default)]
    pub divergence: Divergence,
}
