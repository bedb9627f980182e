use std::sync::Arc;

use wire::{Hash, ProblemKind, SnapshotList};

use super::{
    fake::{FakeRelay, Reply},
    samples::{object_bytes, relays_with, settings, snapshot},
};
use crate::fetch::{FetchError, FetchSettings, SnapshotObjects, Spool};

fn tables() -> Vec<Vec<Vec<u8>>> {
    let object = |name: &str| object_bytes(name, 100_000);
    vec![
        vec![object("0.0"), object("0.1"), object("0.2")],
        vec![],
        vec![object("2.0")],
        (0..20).map(|part| object(&format!("3.{part}"))).collect(),
    ]
}

/// A relay that signs anew with each list, and takes its newest signature only.
async fn relay(lists_that_hold: usize) -> FakeRelay {
    let all = tables().concat();
    let lists = std::sync::Mutex::new(0);
    let served = std::sync::Mutex::new(0);
    FakeRelay::start(move |request, _| {
        let mut lists = lists.lock().unwrap();
        let mut served = served.lock().unwrap();
        if request.path.ends_with("/snapshot") {
            *lists += 1;
            *served = 0;
            let at = if *lists <= lists_that_hold { 100 } else { 999 };
            let snapshots = vec![snapshot(at, &tables(), &lists.to_string())];
            return Reply::json(&SnapshotList { snapshots, succeeds: Vec::new() })
                .with("Tailwater-Channels: *");
        }
        *served += 1;
        if request.query != format!("exp=1&sig={lists}") || *served > 7 {
            return Reply::problem_of(ProblemKind::Forbidden);
        }
        let wanted = |bytes: &&Vec<u8>| request.path.ends_with(&Hash::of(bytes).to_string());
        Reply::new(200, &[], all.iter().find(wanted).unwrap())
    })
    .await
}

fn start(
    relay: &FakeRelay,
    settings: FetchSettings,
    from: (usize, usize),
) -> (SnapshotObjects, Arc<Spool>, tempfile::TempDir) {
    let parent = tempfile::tempdir().unwrap();
    let spool = Arc::new(Spool::create(Some(parent.path())).unwrap());
    let relays = Arc::new(relays_with(vec![relay.address()], settings));
    let list = snapshot(100, &tables(), "0");
    let objects =
        SnapshotObjects::start(&relays, &spool, &list, &[], |table, object| (table, object) < from);
    (objects, spool, parent)
}

#[tokio::test]
async fn a_load_that_goes_on_fetches_only_what_it_lacks() {
    // The place behind a table's last object is that of the next table's first.
    for (from, first, left) in [
        ((0, 1), Some((0, 1)), 23),
        ((0, 3), Some((2, 0)), 21),
        ((3, 20), None, 0),
        ((4, 0), None, 0),
    ] {
        let relay = relay(usize::MAX).await;
        let (mut objects, _spool, _parent) = start(&relay, settings(), from);
        let mut found = Vec::new();
        while let Some(part) = objects.next().await.unwrap() {
            found.push((part.table, part.object));
        }
        assert_eq!((found.first().copied(), found.len()), (first, left), "{from:?}");
    }
}

#[tokio::test]
async fn objects_come_in_order_while_their_urls_run_out() {
    let relay = relay(usize::MAX).await;
    // Room for two objects.
    let settings = FetchSettings { spool_bytes: 256 << 10, ..settings() };
    let (mut objects, spool, _parent) = start(&relay, settings, (0, 0));
    let mut found = Vec::new();
    while let Some(part) = objects.next().await.unwrap() {
        let bytes = std::fs::read(part.file.path()).unwrap();
        assert_eq!(bytes, tables()[part.table][part.object]);
        found.push((part.table, part.object));
        let files = std::fs::read_dir(spool.path()).unwrap().count() - 1;
        assert!(files <= 3, "{files} files, with room for two and one handed out");
    }
    let expected: Vec<(usize, usize)> = tables()
        .iter()
        .enumerate()
        .flat_map(|(table, objects)| (0..objects.len()).map(move |object| (table, object)))
        .collect();
    assert_eq!(found, expected);
    assert!(objects.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_snapshot_that_is_replaced_half_way_is_never_taken_for_complete() {
    let relay = relay(1).await;
    let (mut objects, _spool, _parent) = start(&relay, settings(), (0, 0));
    let mut found = 0;
    let error = loop {
        match objects.next().await {
            Ok(part) => found += usize::from(part.expect("the end was not reached").object < 99),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FetchError::SnapshotGone { .. }), "{error}");
    assert!(found < 24 && error.to_string().contains("0/64"), "{error}");
    assert!(matches!(objects.next().await, Err(FetchError::Ended)));
}
