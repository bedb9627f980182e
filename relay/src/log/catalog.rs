//! What the relay knows of a source beside its slices.
//!
//! ```text
//! "m/source"          lineage, facts, session, secret, horizon, what it succeeds
//! "m/closed"          how the log stood where the closed ranges end
//! "m/capture"         capture's last word
//! "r" through u64     a closed range
//! "s" lsn u64         a snapshot
//! "t" name            a terminal
//! "u" hash            an object that nothing refers to yet
//! ```

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wire::{
    ChannelHashes, ChannelMap, Commit, Facts, Hash, Lineage, Lsn, Snapshot, Succession,
    TerminalName,
};

use super::{
    error::StoreError,
    range::ClosedRange,
    records::{RecordBatch, Records},
};

const SOURCE: &[u8] = b"m/source";
const CLOSED: &[u8] = b"m/closed";
const CAPTURE: &[u8] = b"m/capture";
const RANGE: u8 = b'r';
const SNAPSHOT: u8 = b's';
const TERMINAL: u8 = b't';
const UPLOAD: u8 = b'u';

/// The source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceRecord {
    /// Its history.
    pub lineage: Lineage,
    /// The master as the log has known it: as of the last session that appended.
    pub facts: Facts,
    /// The newest session's number.
    pub session: u64,
    /// The master as that session sees it; becomes `facts` with its first append.
    pub session_facts: Facts,
    /// 32 random bytes that sign URLs, in hexadecimal digits.
    pub secret: Hash,
    /// The oldest position that can be read from; none until the log has begun.
    pub horizon: Option<Lsn>,
    /// The histories that it succeeds, oldest first.
    #[serde(default)]
    pub succeeds: Vec<Succession>,
}

/// How the log stood at a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClosedState {
    /// The end of the newest closed range, or where the log began.
    pub through: Lsn,
    /// The channels' hashes there.
    pub hashes: ChannelHashes,
    /// The channel map in force there.
    pub channel_map: Option<ChannelMap>,
    /// The newest commit up to there.
    pub known: Option<Commit>,
}

/// Why an object was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UploadKind {
    /// A part of a transaction that is not closed.
    Transaction,
    /// A part of a snapshot that is not complete.
    Snapshot,
    /// Made by the relay for a range that is not closed yet.
    Log,
}

/// An object that nothing refers to yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// Why it is there.
    pub kind: UploadKind,
    /// The capture session that sent it.
    pub session: u64,
}

/// The catalogue of one source.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    records: Arc<dyn Records>,
}

impl Catalog {
    /// Over its records.
    pub(crate) fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// The source; none where it was never begun.
    pub(crate) fn source(&self) -> Result<Option<SourceRecord>, StoreError> {
        self.json(SOURCE, None)
    }

    /// Where the closed ranges end; none until the log has begun.
    pub(crate) fn closed(&self) -> Result<Option<ClosedState>, StoreError> {
        self.json(CLOSED, None)
    }

    /// The closed range that holds what comes right after `position`.
    pub(crate) fn range(&self, position: Lsn) -> Result<Option<ClosedRange>, StoreError> {
        let found = self.records.next(&[RANGE], &numbered(RANGE, position))?;
        let Some((_, value)) = found else { return Ok(None) };
        let range =
            ClosedRange::decode(&value).map_err(|detail| damaged(Some(position), detail))?;
        Ok(Some(range).filter(|range| range.header.after <= position))
    }

    /// The snapshot at that position.
    pub(crate) fn snapshot(&self, lsn: Lsn) -> Result<Option<Snapshot>, StoreError> {
        self.json(&numbered(SNAPSHOT, lsn), Some(lsn))
    }

    /// Positions of all snapshots, oldest first.
    pub(crate) fn snapshot_positions(&self) -> Result<Vec<Lsn>, StoreError> {
        let keys = self.records.keys(&[SNAPSHOT])?;
        Ok(keys.iter().filter_map(|key| key.get(1..)?.try_into().ok()).map(position).collect())
    }

    /// All terminals' records.
    pub(crate) fn terminals<T: DeserializeOwned>(
        &self,
    ) -> Result<Vec<(TerminalName, T)>, StoreError> {
        let mut found = Vec::new();
        let mut after = Bytes::from_static(&[TERMINAL]);
        while let Some((key, value)) = self.records.next(&[TERMINAL], &after)? {
            let name = key.get(1..).and_then(|name| std::str::from_utf8(name).ok());
            if let Some(name) = name.and_then(|name| TerminalName::new(name).ok()) {
                found.push((name, parse(&value, None)?));
            }
            after = key;
        }
        Ok(found)
    }

    /// Capture's last word.
    pub(crate) fn capture<T: DeserializeOwned>(&self) -> Result<Option<T>, StoreError> {
        self.json(CAPTURE, None)
    }

    /// An object that nothing refers to yet.
    pub(crate) fn upload(&self, name: Hash) -> Result<Option<Upload>, StoreError> {
        self.json(&upload_key(name), None)
    }

    /// The names of objects that nothing refers to yet.
    pub(crate) fn uploads(&self) -> Result<Vec<Hash>, StoreError> {
        let keys = self.records.keys(&[UPLOAD])?;
        Ok(keys
            .iter()
            .filter_map(|key| key.get(1..)?.try_into().ok())
            .map(Hash::from_bytes)
            .collect())
    }

    /// Makes changes durable, all or none.
    pub(crate) fn write(&self, changes: Changes) -> Result<(), StoreError> {
        if changes.0.changes.is_empty() {
            return Ok(());
        }
        self.records.write(changes.0)
    }

    /// Opens it anew after an error.
    pub(crate) fn reopen(&self) -> Result<(), StoreError> {
        self.records.reopen()
    }

    /// Bytes on disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.records.disk_bytes()
    }

    fn json<T: DeserializeOwned>(
        &self,
        key: &[u8],
        lsn: Option<Lsn>,
    ) -> Result<Option<T>, StoreError> {
        self.records.get(key)?.map(|value| parse(&value, lsn)).transpose()
    }
}

/// Changes to the catalogue that belong together.
#[derive(Debug, Default)]
pub(crate) struct Changes(RecordBatch);

impl Changes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets the source's record.
    pub(crate) fn source(&mut self, record: &SourceRecord) -> Result<(), StoreError> {
        self.json(SOURCE.to_vec(), record)
    }

    /// Sets where the closed ranges end.
    pub(crate) fn closed(&mut self, state: &ClosedState) -> Result<(), StoreError> {
        self.json(CLOSED.to_vec(), state)
    }

    /// Adds a closed range; its objects are no longer without a reference.
    pub(crate) fn range(&mut self, range: &ClosedRange) {
        self.0.put(numbered(RANGE, range.header.through), range.encode());
        let parts = range.header.channels.iter().flat_map(|part| &part.parts);
        for object in range.objects.iter().chain(parts) {
            self.forget_upload(object.name);
        }
    }

    /// Adds a snapshot; its objects are no longer without a reference.
    pub(crate) fn snapshot(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        for object in snapshot.tables.iter().flat_map(|table| &table.objects) {
            self.forget_upload(object.name);
        }
        self.json(numbered(SNAPSHOT, snapshot.lsn), snapshot)
    }

    /// Takes a snapshot off the list.
    pub(crate) fn forget_snapshot(&mut self, lsn: Lsn) {
        self.0.remove(numbered(SNAPSHOT, lsn));
    }

    /// Sets a terminal's record.
    pub(crate) fn terminal<T: Serialize>(
        &mut self,
        name: &TerminalName,
        record: &T,
    ) -> Result<(), StoreError> {
        self.json(terminal_key(name), record)
    }

    /// Sets capture's last word.
    pub(crate) fn capture<T: Serialize>(&mut self, record: &T) -> Result<(), StoreError> {
        self.json(CAPTURE.to_vec(), record)
    }

    /// Forgets a terminal.
    pub(crate) fn forget_terminal(&mut self, name: &TerminalName) {
        self.0.remove(terminal_key(name));
    }

    /// Notes an object before it is stored.
    pub(crate) fn upload(&mut self, name: Hash, upload: Upload) -> Result<(), StoreError> {
        self.json(upload_key(name), &upload)
    }

    /// Takes the note back.
    pub(crate) fn forget_upload(&mut self, name: Hash) {
        self.0.remove(upload_key(name));
    }

    fn json<T: Serialize>(&mut self, key: Vec<u8>, value: &T) -> Result<(), StoreError> {
        let text = serde_json::to_vec(value).map_err(|error| damaged(None, error))?;
        self.0.put(key, text);
        Ok(())
    }
}

fn numbered(kind: u8, lsn: Lsn) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&lsn.get().to_be_bytes());
    key
}

fn position(bytes: [u8; 8]) -> Lsn {
    Lsn::new(u64::from_be_bytes(bytes))
}

fn terminal_key(name: &TerminalName) -> Vec<u8> {
    [&[TERMINAL], name.as_str().as_bytes()].concat()
}

fn upload_key(name: Hash) -> Vec<u8> {
    [&[UPLOAD], name.as_bytes().as_slice()].concat()
}

fn parse<T: DeserializeOwned>(value: &[u8], lsn: Option<Lsn>) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|error| damaged(lsn, error))
}

fn damaged(lsn: Option<Lsn>, detail: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("catalogue", lsn, detail)
}
