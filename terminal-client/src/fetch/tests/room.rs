//! However much there is to fetch, only so much is under way and in the spool.

use std::{sync::Arc, time::Duration};

use wire::{ChannelHashes, Hash, Snapshot, SnapshotList};

use super::{
    fake::{FakeRelay, Reply},
    samples::{
        lineage, lsn, manifest, manifest_reply, object_bytes, pull_after, range, relays_with,
        settings, snapshot,
    },
};
use crate::{
    fetch::{
        FetchSettings, Fetched, PrefetchRequest, Prefetcher, PullReport, SnapshotObjects, Spool,
        ranges::{Kept, fetch_range},
        whereabouts::Whereabouts,
    },
    position::Position,
};

/// Time to go further than allowed, if it would.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn spool() -> (Arc<Spool>, tempfile::TempDir) {
    let parent = tempfile::tempdir().unwrap();
    (Arc::new(Spool::create(Some(parent.path())).unwrap()), parent)
}

#[tokio::test]
async fn ranges_ahead_wait_for_room_in_the_spool() {
    let objects: Vec<Vec<u8>> =
        ["a", "b", "c"].iter().map(|name| object_bytes(name, 300_000)).collect();
    let ranges =
        (1..).zip(&objects).map(|(at, bytes)| range(at * 100, at * 100 + 100, bytes, &[], "s"));
    let listed = manifest(ranges.collect());
    let relay = FakeRelay::start(move |request, _| {
        if request.path.ends_with("/log") {
            return manifest_reply(400, &listed);
        }
        let wanted = |bytes: &&Vec<u8>| request.path.ends_with(&Hash::of(bytes).to_string());
        Reply::new(200, &[], objects.iter().find(wanted).unwrap())
    })
    .await;
    // Room for one of them; as ranges, all three might be there.
    let settings = FetchSettings { spool_bytes: 400_000, ranges_ahead: 5, ..settings() };
    let (spool, _parent) = spool();
    let relays = Arc::new(relays_with(vec![relay.address()], settings));
    let request = PrefetchRequest {
        from: Position::proved(lineage(), lsn(100), ChannelHashes::default()),
        channels: Vec::new(),
        loaded: None,
        limit_bytes: 1 << 20,
        wait: Duration::ZERO,
        report: PullReport::default(),
    };
    let mut prefetcher = Prefetcher::start(&relays, &spool, request);
    for done in 1..=3 {
        let Fetched::Closed { files, .. } = prefetcher.next().await.unwrap() else { panic!() };
        a_moment().await;
        assert_eq!(std::fs::read_dir(spool.path()).unwrap().count() - 1, 1, "files");
        assert_eq!(relay.count(), 1 + done, "a pull, and the objects asked for");
        drop(files);
    }
}

/// A relay that lists this snapshot, and of each object gives no byte.
async fn stalling(of: Snapshot) -> FakeRelay {
    FakeRelay::start(move |request, _| match request.path.ends_with("/snapshot") {
        true => Reply::json(&SnapshotList { snapshots: vec![of.clone()], succeeds: Vec::new() })
            .with("Tailwater-Channels: *"),
        false => Reply::new(200, &[("Content-Length", "5000")], b"").stalling(),
    })
    .await
}

#[tokio::test]
async fn only_so_many_objects_are_under_way() {
    let parts: Vec<Vec<u8>> =
        (0..20).map(|part| object_bytes(&format!("part {part}"), 5000)).collect();
    let settings = || FetchSettings { parallel_objects: 4, ..settings() };
    let of = snapshot(100, std::slice::from_ref(&parts), "s");
    let relay = stalling(of.clone()).await;
    let relays = relays_with(vec![relay.address()], settings());
    let (spool, _parent) = spool();
    let listed = range(100, 300, &object_bytes("a", 5000), &parts, "s");
    let whereabouts = Whereabouts::of_range(0, &listed, pull_after(lsn(100)));
    let mut kept = Kept::new();
    tokio::select! {
        _ = fetch_range(&relays, &spool, &whereabouts, &listed, &mut kept) => panic!("it ended"),
        () = async { while relay.count() < 4 { tokio::task::yield_now().await } a_moment().await } => {}
    }
    assert_eq!(relay.count(), 4);

    let relay = stalling(of.clone()).await;
    let relays = Arc::new(relays_with(vec![relay.address()], settings()));
    let _objects = SnapshotObjects::start(&relays, &spool, &of, &[], |_, _| false);
    while relay.count() < 5 {
        tokio::task::yield_now().await;
    }
    a_moment().await;
    assert_eq!(relay.count(), 5, "the list, and four objects");
}
