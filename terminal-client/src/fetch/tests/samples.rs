use std::time::Duration;

use wire::{
    Change, ChannelHashes, ChannelMap, ChannelName, Definitions, Hash, Lineage, Lsn, MANIFEST_TYPE,
    Manifest, ManifestChannel, ManifestObject, ManifestRange, SLICES_TYPE, Slice, SliceBuilder,
    Snapshot, SnapshotObject, SnapshotTable, SourceName, TransactionEncoder, TransactionHeader,
};

use super::fake::Reply;
use crate::fetch::{FetchSettings, PullRequest, Relays};

pub(crate) fn lsn(at: u64) -> Lsn {
    Lsn::new(at)
}

pub(crate) fn source() -> SourceName {
    SourceName::new("orders").unwrap()
}

pub(crate) fn lineage() -> Lineage {
    Lineage::from_bytes([7; 16])
}

pub(crate) fn channel() -> ChannelName {
    ChannelName::default_channel()
}

/// Pauses that cost a test nothing, patience that outlasts a slow machine.
pub(crate) fn settings() -> FetchSettings {
    FetchSettings {
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(8),
        patience: Duration::from_secs(120),
        distrust: Duration::ZERO,
        system_proxy: false,
        ..FetchSettings::default()
    }
}

/// One attempt at each relay, no second round.
pub(crate) fn impatient() -> FetchSettings {
    FetchSettings { patience: Duration::ZERO, ..settings() }
}

pub(crate) fn relays_with(
    addresses: Vec<crate::fetch::RelayAddress>,
    settings: FetchSettings,
) -> Relays {
    Relays::new(addresses, &source(), None, settings).unwrap()
}

pub(crate) fn pull_after(after: Lsn) -> PullRequest {
    PullRequest {
        after,
        lineage: Some(lineage()),
        hashes: None,
        channels: Vec::new(),
        loaded: None,
        limit_bytes: 1 << 20,
        wait: Duration::ZERO,
        report: crate::fetch::PullReport::default(),
    }
}

/// Slices of one transaction each, ending at these positions, the first beginning at `after`.
pub(crate) fn slices(after: Lsn, ends: &[u64]) -> Vec<Slice> {
    let hashes = ChannelHashes::default();
    let mut builder = SliceBuilder::new(source(), lineage(), after, hashes, 1);
    ends.iter()
        .map(|end| {
            let header = TransactionHeader { xid: 7, commit_time_us: 1 };
            let mut encoder = TransactionEncoder::new(header);
            let content = format!("content of {end}").repeat(50).into();
            let prefix = "test".to_owned();
            encoder.push(&channel(), &Change::Message { prefix, content, transactional: true });
            builder.push(lsn(end - 1), lsn(*end), &encoder.finish(), &[]).unwrap();
            builder.finish(lsn(*end)).unwrap()
        })
        .collect()
}

pub(crate) fn row(slices: &[Slice]) -> Vec<u8> {
    slices.iter().flat_map(|slice| slice.bytes().to_vec()).collect()
}

/// The headers of a good answer.
pub(crate) fn standing(head: u64, through: u64) -> Vec<(&'static str, String)> {
    vec![
        ("Tailwater-Lineage", lineage().to_string()),
        ("Tailwater-Head", lsn(head).to_string()),
        ("Tailwater-Through", lsn(through).to_string()),
        ("Tailwater-Channels", "*".to_owned()),
    ]
}

pub(crate) fn pull_reply(
    status: u16,
    content_type: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> Reply {
    let mut all: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if !content_type.is_empty() {
        all.push(("Content-Type", content_type));
    }
    Reply::new(status, &all, body)
}

/// Slices from `after` to these positions, at a relay whose head is `head`.
pub(crate) fn slices_reply(head: u64, after: u64, ends: &[u64]) -> Reply {
    let through = *ends.last().unwrap();
    pull_reply(200, SLICES_TYPE, &standing(head, through), &row(&slices(lsn(after), ends)))
}

pub(crate) fn nothing_reply(at: u64) -> Reply {
    pull_reply(204, "", &standing(at, at), b"")
}

pub(crate) fn manifest_reply(head: u64, manifest: &Manifest) -> Reply {
    let through = manifest.ranges.last().map_or(0, |range| range.through.get());
    let body = serde_json::to_vec(manifest).unwrap();
    pull_reply(200, MANIFEST_TYPE, &standing(head, through), &body)
}

/// Bytes that no two objects share.
pub(crate) fn object_bytes(of: &str, len: usize) -> Vec<u8> {
    of.bytes().chain((0..).map(|at: u32| (at % 251) as u8)).take(len).collect()
}

pub(crate) fn manifest_object(bytes: &[u8], signature: &str) -> ManifestObject {
    let name = Hash::of(bytes);
    let url = format!("/v1/orders/objects/{name}?exp=1&sig={signature}");
    ManifestObject { name, len: bytes.len() as u64, url }
}

/// A range of one channel whose object and parts have these bytes.
pub(crate) fn range(
    after: u64,
    through: u64,
    object: &[u8],
    parts: &[Vec<u8>],
    signature: &str,
) -> ManifestRange {
    let of_channel = ManifestChannel {
        channel: channel(),
        before: Hash::of(&after.to_be_bytes()),
        after: Hash::of(&through.to_be_bytes()),
        transactions: 1,
        changes: 1,
        raw_len: 1,
        object: manifest_object(object, signature),
        parts: parts.iter().map(|part| manifest_object(part, signature)).collect(),
    };
    ManifestRange {
        after: lsn(after),
        through: lsn(through),
        commit: None,
        transactions: 1,
        changes: 1,
        channels: vec![of_channel],
    }
}

pub(crate) fn manifest(ranges: Vec<ManifestRange>) -> Manifest {
    Manifest { source: source(), lineage: lineage(), ranges }
}

/// A snapshot at `at` with one table per list of objects.
pub(crate) fn snapshot(at: u64, tables: &[Vec<Vec<u8>>], signature: &str) -> Snapshot {
    let object = |bytes: &Vec<u8>| {
        let ManifestObject { name, len, url } = manifest_object(bytes, signature);
        SnapshotObject { name, len, rows: 1, raw_len: 1, url: Some(url) }
    };
    let table = |(number, objects): (usize, &Vec<Vec<u8>>)| SnapshotTable {
        oid: u32::try_from(number).unwrap(),
        schema: "public".into(),
        name: format!("t{number}"),
        channel: channel(),
        columns: vec!["a".into()],
        rows: objects.len() as u64,
        raw_len: objects.len() as u64,
        objects: objects.iter().map(object).collect(),
    };
    Snapshot {
        lineage: lineage(),
        lsn: lsn(at),
        hashes: ChannelHashes::default(),
        channel_map: ChannelMap::default(),
        definitions: Definitions::default(),
        tables: tables.iter().enumerate().map(table).collect(),
        created_at: "2026-01-01T00:00:00Z".into(),
    }
}
