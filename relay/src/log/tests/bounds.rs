//! What one answer, and all of them together, may hold.

use wire::{Lineage, Lsn, PartObject};

use super::{
    fixture::{BEGIN, Got, begun, get, pull, small},
    sealing::{noise, wait_sealed},
};
use crate::{
    feed::{Feed, source},
    log::{
        Channels, ClosedRange, LogSettings, Planned,
        catalog::Changes,
        engine::SledTail,
        tail::{Item, Tail},
    },
};

fn ranges(got: Got) -> Vec<ClosedRange> {
    match got {
        Got::Ranges(ranges) => ranges,
        other => panic!("closed ranges were expected: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_bounded_in_ranges_and_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    // Each slice is a closed range at once.
    let settings = LogSettings { tail_bytes: 1 << 20, ..small() };
    let (log, session, mut feed) = begun(folder.path(), settings).await;
    for n in 0..70 {
        log.append(session, feed.one(&[("a", &noise(n, 140_000))])).await.unwrap();
    }
    let asked = pull(BEGIN, 1, Channels::All);
    let found = ranges(get(&log, &asked).unwrap());
    assert_eq!(found.len(), 64);

    // The same ranges, as if their objects were of 100 MiB each.
    let mut changes = Changes::new();
    for range in &found {
        let large = |of: &PartObject| PartObject { len: 100 << 20, ..*of };
        let objects = range.objects.iter().map(large).collect();
        changes.range(&ClosedRange { header: range.header.clone(), objects });
    }
    log.catalog().write(changes).unwrap();
    assert_eq!(ranges(get(&log, &asked).unwrap()).len(), 2);
}

/// Slices that answers hold leave the ring, and stay in memory for as long as nobody reads: only
/// so many, then answers are read from the tail.
#[tokio::test(flavor = "multi_thread")]
async fn what_stalled_answers_hold_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        LogSettings { tail_bytes: 64 << 20, ring_bytes: 64 << 20, ..LogSettings::default() };
    let (log, session, mut feed) = begun(folder.path(), settings).await;
    for n in 0..6 {
        log.append(session, feed.one(&[("a", &noise(n, 3 << 20))])).await.unwrap();
    }
    let mut stalled = Vec::new();
    for n in 0..6_u64 {
        let after = Lsn::new(BEGIN.get() + n * 100);
        let Planned::Slices { reader, .. } = log.plan(&pull(after, 1, Channels::All)).unwrap()
        else {
            panic!("it is not inline");
        };
        stalled.push(reader);
    }
    let held = stalled.iter().filter(|reader| reader.is_ready()).count();
    assert_eq!(held, 5, "readers of 3 MiB each that hold their slice, 16 MiB being the bound");
    // Who does not hold its slice gets it all the same; who is done leaves its place to the next.
    let mut bytes = 0;
    let last = stalled.last_mut().unwrap();
    while let Some(piece) = last.next_piece().unwrap() {
        bytes += piece.len();
    }
    assert!(bytes > 3 << 20, "{bytes} bytes");
    stalled.clear();
    let Planned::Slices { reader, .. } = log.plan(&pull(BEGIN, 1, Channels::All)).unwrap() else {
        panic!("it is not inline");
    };
    assert!(reader.is_ready());
}

/// Whoever seals holds one channel's share of a range, and whoever fetches one object.
#[tokio::test(flavor = "multi_thread")]
async fn sealed_objects_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    // Much more than it takes of the tail.
    for _ in 0..200 {
        log.append(session, feed.one(&[("a", &[b'x'; 4000])])).await.unwrap();
    }
    wait_sealed(&log, Lsn::new(BEGIN.get() + 2000));
    let (mut at, mut ranges) = (BEGIN, 0);
    while let Some(range) = log.catalog().range(at).unwrap() {
        at = range.header.through;
        ranges += 1;
        for part in &range.header.channels {
            let most = small().object_bytes + 5000;
            assert!(part.raw_len <= most, "{} bytes up to {at}", part.raw_len);
        }
    }
    assert!(ranges > 2, "{ranges} ranges");
}

/// The tail's room is bounded by making its writer wait, never by dropping what has no other place.
#[test]
fn what_is_not_sealed_stays_when_the_tail_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let tail = SledTail::open(folder.path(), &source(), 64 << 10).unwrap();
    let mut feed = Feed::new(Lineage::from_bytes([1; 16]), BEGIN, Default::default());
    let mut beyond = 0;
    while beyond < 8 {
        let slice = feed.one(&[("a", &noise(feed.at, 20_000))]);
        tail.append(Item::Slice(&slice), None).unwrap();
        beyond += u32::from(!tail.has_room());
    }
    let mut at = BEGIN;
    while let Some(stored) = tail.header(at).unwrap() {
        assert_eq!(stored.header.after, at);
        at = stored.header.through;
    }
    assert_eq!(at, Lsn::new(feed.at));
}
