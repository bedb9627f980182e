//! Which snapshots are kept, and what becomes of their objects.

use bytes::Bytes;
use wire::{Hash, Lineage, Lsn, ObjectKind, ProblemKind, Snapshot, SnapshotObject, SnapshotTable};

use super::relay::{Relay, empty_snapshot, fetched, ok, problem, small};
use crate::feed::{channel, object};

const OBJECTS: &str = "/v1/orders/objects";

/// A snapshot of one table with one object, and that object.
fn snapshot(lineage: Lineage, lsn: Lsn) -> (Snapshot, Hash, Bytes) {
    let kind = ObjectKind::Snapshot { lsn, table: 7, part: 0, rows: 3 };
    let (name, bytes) = object(lineage, "a", kind, b"1\n2\n3\n");
    let len = bytes.len() as u64;
    let mut snapshot = empty_snapshot(lineage, lsn.get());
    snapshot.tables = vec![SnapshotTable {
        oid: 7,
        schema: "public".into(),
        name: "t".into(),
        channel: channel("a"),
        columns: vec!["id".into()],
        rows: 3,
        raw_len: 6,
        objects: vec![SnapshotObject { name, len, rows: 3, raw_len: 6, url: None }],
    }];
    (snapshot, name, bytes)
}

async fn positions(relay: &Relay) -> Vec<u64> {
    relay.snapshots("").await.snapshots.iter().map(|snapshot| snapshot.lsn.get()).collect()
}

async fn url(relay: &Relay, lsn: Lsn) -> String {
    let list = relay.snapshots("").await.snapshots;
    let found = list.into_iter().find(|snapshot| snapshot.lsn == lsn).unwrap();
    found.tables[0].objects[0].url.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_are_kept_and_those_that_somebody_fetches() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    let mut urls = Vec::new();
    for round in 1..=4 {
        let head = relay.append(session, &feed.one(&[("a", b"1")])).await;
        let (snapshot, name, bytes) = snapshot(feed.lineage, head);
        ok(relay.post_bytes(OBJECTS, session, bytes.clone()).await).await;
        ok(relay.post_snapshot(session, &snapshot).await).await;
        urls.push(url(&relay, head).await);
        if round == 2 {
            assert_eq!(fetched(&relay, &urls[1]).await, (name, bytes));
        }
    }
    assert_eq!(positions(&relay).await, [1400, 1300, 1200], "1200 is being fetched");
    // What is gone is gone with its objects, and says so; what is kept is there.
    problem(relay.get(&urls[0]).await, ProblemKind::NotFound).await;
    for url in &urls[1..] {
        ok(relay.get(url).await).await;
    }
    // The log still reaches back to where it began, through a restart too.
    relay.stop().await;
    let relay = Relay::start(data.path(), small()).await;
    ok(relay.pull(Lsn::new(1000), "").await).await;
    assert_eq!(positions(&relay).await, [1400, 1300, 1200]);
    for url in &urls[1..] {
        let path = url.split("&snapshot=").next().unwrap();
        ok(relay.get(path).await).await;
    }
    // Nobody is known to fetch 1200 by now.
    let (session, mut feed) = relay.resume().await;
    let head = relay.append(session, &feed.one(&[("a", b"1")])).await;
    ok(relay.post_snapshot(session, &empty_snapshot(feed.lineage, head.get())).await).await;
    assert_eq!(positions(&relay).await, [1500, 1400]);
}

/// A position that the log has yet to reach is no reason to drop one that terminals can take.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_taken_yet_does_not_count() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    for lsn in [1050, 1060, 1070] {
        ok(relay.post_snapshot(session, &empty_snapshot(feed.lineage, lsn)).await).await;
    }
    assert_eq!(positions(&relay).await, [1000]);
    relay.append(session, &feed.one(&[("a", b"1")])).await;
    assert_eq!(positions(&relay).await, [1070, 1060, 1050, 1000]);
}

/// A copy that ended in the middle leaves nothing, in its own session or a later one.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_copy_that_was_given_up_go() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    let head = relay.append(session, &feed.one(&[("a", b"1")])).await;
    let upload = async |session: u64, lsn: u64| {
        let (snapshot, name, bytes) = snapshot(feed.lineage, Lsn::new(lsn));
        ok(relay.post_bytes(OBJECTS, session, bytes).await).await;
        (snapshot, name)
    };
    let stored = |name: Hash| {
        let name = name.to_string();
        let mut folders = std::fs::read_dir(data.path().join("orders/objects")).unwrap();
        folders.any(|folder| {
            let Ok(mut files) = std::fs::read_dir(folder.unwrap().path()) else { return false };
            files.any(|file| name.ends_with(&*file.unwrap().file_name().to_string_lossy()))
        })
    };
    let (_, first) = upload(session, 1001).await;
    let (good, second) = upload(session, head.get()).await;
    assert!(stored(first) && stored(second));
    ok(relay.post_snapshot(session, &good).await).await;
    assert!(!stored(first) && stored(second), "the next one to be complete sweeps");
    let (_, third) = upload(session, 1003).await;
    let newer = relay.session(false).await.session;
    assert!(!stored(third) && stored(second), "so does the next session");
    upload(newer, 1003).await;
    relay.stop().await;
    let relay = Relay::start(data.path(), small()).await;
    assert!(
        stored(third) && stored(second),
        "a relay that starts anew does not: its session goes on"
    );
    drop(relay);
}
