//! The tail becomes closed ranges, and nobody who reads can tell.

use std::time::{Duration, Instant};

use wire::Lsn;

use super::{
    fixture::{BEGIN, Got, begun, get, open, pull, put, small},
    reader::Reader,
};
use crate::{
    feed::{Feed, channel},
    log::{Channels, Log, Upload, UploadKind, catalog::Changes},
};

/// Bytes that do not compress, different for each `n`.
pub(super) fn noise(n: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&n.to_be_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

pub(super) async fn fill(log: &Log, session: u64, feed: &mut Feed, slices: u64) {
    for n in 0..slices {
        let row = noise(feed.at + n, 1500);
        let rows: &[(&str, &[u8])] = match n % 3 {
            0 => &[("a", &row)],
            1 => &[("b", &row)],
            _ => &[("a", &row), ("b", b"small")],
        };
        log.append(session, feed.one(rows)).await.unwrap();
    }
}

pub(super) fn wait_sealed(log: &Log, past: Lsn) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while log.catalog().closed().unwrap().unwrap().through < past {
        assert!(Instant::now() < deadline, "nothing is sealed: {:?}", log.seal_error());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_reads_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    let mut live = Reader::new(feed.lineage, BEGIN, Channels::All);
    for _ in 0..20 {
        fill(&log, session, &mut feed, 10).await;
        live.catch_up(&log, 1 << 20).unwrap();
    }
    wait_sealed(&log, Lsn::new(feed.at - 8000));
    let mut late = Reader::new(feed.lineage, BEGIN, Channels::All);
    assert!(matches!(get(&log, &pull(BEGIN, 1, Channels::All)), Ok(Got::Ranges(_))));
    late.catch_up(&log, 5000).unwrap();
    assert_eq!((&late.commits, &late.hashes), (&live.commits, &live.hashes));
    assert_eq!(late.at, Lsn::new(feed.at));
    let standing = log.standing();
    assert_eq!(late.hashes, standing.hashes);
    drop(log);

    let log = open(folder.path(), small());
    assert_eq!(log.standing().hashes, standing.hashes);
    // From a position inside a range, with one channel.
    let only = Channels::Only([channel("b")].into());
    let mut one = Reader::new(feed.lineage, BEGIN, only);
    one.catch_up(&log, 1 << 20).unwrap();
    assert_eq!(one.commits.get(&channel("b")), live.commits.get(&channel("b")));
    assert_eq!(one.commits.get(&channel("a")), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_inside_a_range_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    let mut early = Reader::new(feed.lineage, BEGIN, Channels::All);
    fill(&log, session, &mut feed, 3).await;
    early.catch_up(&log, 1 << 20).unwrap();
    fill(&log, session, &mut feed, 100).await;
    wait_sealed(&log, early.at);
    let Got::Ranges(ranges) = get(&log, &pull(early.at, 1, Channels::All)).unwrap() else {
        panic!("the position is not in a closed range");
    };
    assert!(ranges[0].header.after < early.at);
    early.catch_up(&log, 1 << 20).unwrap();
    assert_eq!(early.hashes, log.standing().hashes);
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_transactions_are_ranges_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    log.append(session, feed.one(&[("a", b"1")])).await.unwrap();
    let upload = |log: &Log, objects: &[(wire::Hash, bytes::Bytes)]| {
        for (name, bytes) in objects {
            let mut note = Changes::new();
            note.upload(*name, Upload { kind: UploadKind::Transaction, session }).unwrap();
            log.catalog().write(note).unwrap();
            put(&**log.objects(), *name, bytes);
        }
    };
    let (huge, objects) = feed.huge("a", &noise(1, 5000), session);
    upload(&log, &objects);
    let (_, unclosed) =
        Feed::new(feed.lineage, BEGIN, Default::default()).huge("a", b"never", session);
    upload(&log, &unclosed);
    log.append(session, huge).await.unwrap();
    log.append(session, feed.one(&[("b", b"2")])).await.unwrap();
    let mut reader = Reader::new(feed.lineage, BEGIN, Channels::All);
    reader.catch_up(&log, 1 << 20).unwrap();
    // For other channels it is like any slice.
    let other = get(&log, &pull(BEGIN, 1 << 20, Channels::Only([channel("b")].into())));
    assert!(matches!(other, Ok(Got::Slices(slices)) if slices.len() == 1));
    // A new session drops what was never closed, and only that.
    let (session, mut feed) = super::fixture::resumed(&log).await;
    assert_eq!(log.objects().len(unclosed[0].0).unwrap(), None);
    assert!(log.objects().len(objects[0].0).unwrap().is_some());
    drop(log);
    let log = open(folder.path(), small());
    assert!(log.objects().len(objects[0].0).unwrap().is_some());
    fill(&log, session, &mut feed, 100).await;
    wait_sealed(&log, Lsn::new(1300));
    drop(log);
    let log = open(folder.path(), small());
    let mut late = Reader::new(feed.lineage, BEGIN, Channels::All);
    late.catch_up(&log, 1 << 20).unwrap();
    reader.catch_up(&log, 1 << 20).unwrap();
    assert_eq!(late.commits, reader.commits);
    assert!(log.catalog().uploads().unwrap().is_empty(), "every object has its reference");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_tiny_slices_costs_as_much_as_bulk() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    let row = [b'x'; 200];
    for _ in 0..2000 {
        log.append(session, feed.one(&[("a", &row)])).await.unwrap();
    }
    wait_sealed(&log, Lsn::new(feed.at / 2));
    let closed = log.catalog().closed().unwrap().unwrap().through;
    let (mut at, mut stored, mut ranges) = (BEGIN, 0, 0);
    while let Some(range) = log.catalog().range(at).unwrap() {
        at = range.header.through;
        stored += range.objects.iter().map(|object| object.len).sum::<u64>();
        ranges += 1;
    }
    // The sealer may have gone on meanwhile.
    assert!(at >= closed);
    let transactions = (at.get() - BEGIN.get()) / 100;
    assert!(stored < transactions * 60, "{stored} bytes for {transactions} transactions");
    assert!(ranges < transactions / 20, "{ranges} ranges for {transactions} transactions");
}

/// What would take memory in the tail is a closed range from the beginning.
#[tokio::test(flavor = "multi_thread")]
async fn large_slices_are_closed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    let before = feed.one(&[("a", b"before")]);
    let (row, other) = (noise(1, 200_000), noise(2, 100_000));
    feed.commit(&[("a", &row)]);
    feed.commit(&[("b", &other), ("a", b"x")]);
    let large = feed.slice();
    let behind = feed.one(&[("b", b"behind")]);
    for slice in [&before, &large, &behind] {
        log.append(session, slice.clone()).await.unwrap();
    }
    let Got::Ranges(ranges) = get(&log, &pull(Lsn::new(1100), 1 << 20, Channels::All)).unwrap()
    else {
        panic!("it came inline");
    };
    assert_eq!(&ranges[0].header, large.header());
    let mut reader = Reader::new(feed.lineage, BEGIN, Channels::All);
    reader.catch_up(&log, 1 << 20).unwrap();
    drop(log);
    let log = open(folder.path(), small());
    let mut again = Reader::new(feed.lineage, BEGIN, Channels::All);
    again.catch_up(&log, 1 << 20).unwrap();
    assert_eq!(again.commits, reader.commits);
    // Sealed with the others, it stays what it was.
    fill(&log, session, &mut feed, 60).await;
    wait_sealed(&log, Lsn::new(feed.at - 4000));
    let range = log.catalog().range(Lsn::new(1100)).unwrap().unwrap();
    assert_eq!(range, ranges[0]);
    let mut late = Reader::new(feed.lineage, BEGIN, Channels::All);
    late.catch_up(&log, 1 << 20).unwrap();
    reader.catch_up(&log, 1 << 20).unwrap();
    assert_eq!(late.commits, reader.commits);
    assert!(log.catalog().uploads().unwrap().is_empty(), "every object has its reference");
}
