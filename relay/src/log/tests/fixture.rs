//! A log in a folder of its own.

use std::{io::Write, path::Path, time::Duration};

use wire::{Facts, Hash, Lsn, SessionRequest, Slice, Snapshot, split_slice};

use crate::{
    feed::{Feed, source},
    log::{Channels, ClosedRange, Log, LogSettings, Objects, Planned, Pull, ReadError, Refusal},
};

pub(super) const BEGIN: Lsn = Lsn::new(1000);

/// A tail so small that a few slices fill it.
pub(super) fn small() -> LogSettings {
    LogSettings {
        tail_bytes: 32 << 10,
        ring_bytes: 8 << 10,
        object_bytes: 16 << 10,
        turn_wait: Duration::from_millis(300),
        ..LogSettings::default()
    }
}

pub(super) fn facts() -> Facts {
    Facts {
        system_identifier: "1".into(),
        database_oid: 2,
        database: "d".into(),
        timeline: 1,
        slot: "s".into(),
    }
}

pub(super) fn request(begin: bool) -> SessionRequest {
    SessionRequest { facts: facts(), begin, succeed: None }
}

pub(super) fn open(folder: &Path, settings: LogSettings) -> Log {
    Log::open(folder, &source(), settings).unwrap().unwrap()
}

pub(super) fn snapshot(lineage: wire::Lineage, lsn: Lsn) -> Snapshot {
    Snapshot {
        lineage,
        lsn,
        hashes: Default::default(),
        channel_map: Default::default(),
        definitions: Default::default(),
        tables: Vec::new(),
        created_at: String::new(),
    }
}

/// A log that has begun at [`BEGIN`], the session that may append, and its feed.
pub(super) async fn begun(folder: &Path, settings: LogSettings) -> (Log, u64, Feed) {
    Log::create(folder, &facts()).unwrap();
    let log = open(folder, settings);
    let answer = log.open_session(request(true)).await.unwrap();
    let lineage = answer.lineage.unwrap();
    log.add_snapshot(answer.session, snapshot(lineage, BEGIN)).await.unwrap();
    (log, answer.session, Feed::new(lineage, BEGIN, Default::default()))
}

/// A new session, and a feed that goes on at the head.
pub(super) async fn resumed(log: &Log) -> (u64, Feed) {
    let answer = log.open_session(request(false)).await.unwrap();
    let feed = Feed::new(answer.lineage.unwrap(), answer.head.unwrap(), answer.hashes);
    (answer.session, feed)
}

pub(super) fn pull(after: Lsn, limit_bytes: u64, channels: Channels) -> Pull {
    Pull { after, channels, limit_bytes, hashes: Vec::new() }
}

/// What a pull brought.
#[derive(Debug)]
pub(super) enum Got {
    Slices(Vec<Slice>),
    Ranges(Vec<ClosedRange>),
    Nothing,
}

pub(super) fn get(log: &Log, pull: &Pull) -> Result<Got, ReadError> {
    Ok(match log.plan(pull)? {
        Planned::Nothing => Got::Nothing,
        Planned::Ranges { ranges, .. } => Got::Ranges(ranges),
        Planned::Slices { through, mut reader, .. } => {
            let mut bytes = Vec::new();
            while let Some(piece) = reader.next_piece()? {
                bytes.extend_from_slice(&piece);
            }
            let mut rest = bytes.into();
            let mut slices: Vec<Slice> = Vec::new();
            while let Some((slice, left)) = split_slice(rest).unwrap() {
                slice.check().unwrap();
                slices.push(slice);
                rest = left;
            }
            assert_eq!(slices.last().map(|last| last.header().through), Some(through));
            Got::Slices(slices)
        }
    })
}

/// Whether a refusal is of a kind.
pub(super) fn is_gap<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Lsn {
    match result {
        Err(Refusal::Gap { head, .. }) => head,
        other => panic!("a gap was expected: {other:?}"),
    }
}

/// Stores an object.
pub(super) fn put(objects: &dyn Objects, name: Hash, bytes: &[u8]) {
    let mut spool = objects.spool().unwrap();
    spool.write_all(bytes).unwrap();
    spool.keep(name).unwrap();
}
