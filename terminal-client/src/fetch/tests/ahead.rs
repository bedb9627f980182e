use std::{sync::Arc, time::Duration};

use wire::{ChannelHashes, Hash, ProblemKind, TerminalName};

use super::{
    fake::{FakeRelay, Reply, Request},
    samples::{
        channel, lineage, lsn, manifest, manifest_reply, nothing_reply, object_bytes, range,
        relays_with, settings, slices, slices_reply,
    },
};
use crate::{
    fetch::{
        FetchError, FetchSettings, Fetched, PrefetchRequest, Prefetcher, PullReport, Refusal, Spool,
    },
    position::Position,
};

struct Bench {
    prefetcher: Prefetcher,
    spool: Arc<Spool>,
    _parent: tempfile::TempDir,
}

fn start(relay: &FakeRelay, settings: FetchSettings) -> Bench {
    let parent = tempfile::tempdir().unwrap();
    let spool = Arc::new(Spool::create(Some(parent.path())).unwrap());
    let relays = Arc::new(relays_with(vec![relay.address()], settings));
    let request = PrefetchRequest {
        from: Position::proved(lineage(), lsn(100), ChannelHashes::default()),
        channels: Vec::new(),
        loaded: None,
        limit_bytes: 1 << 20,
        wait: Duration::ZERO,
        report: PullReport::default(),
    };
    Bench { prefetcher: Prefetcher::start(&relays, &spool, request), spool, _parent: parent }
}

/// The position that a pull asks for.
fn after(request: &Request) -> u64 {
    let position = request.query.split('&').next().unwrap().trim_start_matches("after=0%2F");
    u64::from_str_radix(position, 16).unwrap()
}

#[tokio::test]
async fn slices_ranges_and_the_head_come_one_after_the_other() {
    let objects = [object_bytes("a", 5000), object_bytes("b", 5000)];
    let ranges: Vec<_> = objects
        .iter()
        .zip([(200, 300), (300, 400)])
        .map(|(bytes, (from, to))| range(from, to, bytes, &[], "s"))
        .collect();
    let listed = manifest(ranges.clone());
    let all = objects.clone();
    let relay = FakeRelay::start(move |request, _| {
        if !request.path.ends_with("/log") {
            let wanted = |bytes: &&Vec<u8>| request.path.ends_with(&Hash::of(bytes).to_string());
            return Reply::new(200, &[], all.iter().find(wanted).unwrap());
        }
        match after(request) {
            100 => slices_reply(500, 100, &[150, 200]),
            200 => manifest_reply(500, &listed),
            400 => slices_reply(500, 400, &[500]),
            other => nothing_reply(other),
        }
    })
    .await;
    let mut bench = start(&relay, settings());
    let mut reached = Vec::new();
    for expected in ["slices", "closed", "closed", "slices", "nothing", "nothing"] {
        let (kind, standing) = match bench.prefetcher.next().await.unwrap() {
            Fetched::Slices { standing, .. } => ("slices", standing),
            Fetched::Closed { range, files, standing } => {
                let bytes = std::fs::read(files[0].object.path()).unwrap();
                assert_eq!(Hash::of(&bytes), range.channels[0].object.name);
                ("closed", standing)
            }
            Fetched::Nothing { standing } => ("nothing", standing),
            other => panic!("{other:?}"),
        };
        assert_eq!(kind, expected);
        reached.push(standing.through.get());
    }
    assert_eq!(reached, [200, 300, 400, 500, 500, 500]);
    let files = std::fs::read_dir(bench.spool.path()).unwrap().count() - 1;
    assert_eq!(files, 0, "files that were handed out and dropped are gone");

    // The hashes sent are those at the position asked for, as the answers before claimed them.
    let hashes: Vec<(u64, Option<String>)> = relay
        .seen()
        .iter()
        .filter(|seen| seen.path.ends_with("/log"))
        .map(|seen| (after(seen), seen.header("tailwater-hashes").map(str::to_owned)))
        .collect();
    let claimed = |hash: Hash| Some(format!("{}={hash}", channel()));
    let of = |slices: Vec<wire::Slice>| claimed(slices.last().unwrap().header().channels[0].after);
    assert_eq!(hashes[0], (100, None));
    assert_eq!(hashes[1], (200, of(slices(lsn(100), &[150, 200]))));
    assert_eq!(hashes[2], (400, claimed(ranges[1].channels[0].after)));
}

#[tokio::test]
async fn no_more_is_fetched_ahead_than_allowed() {
    let relay = FakeRelay::start(|request, _| {
        let after = after(request);
        slices_reply(1_000_000, after, &[after + 100])
    })
    .await;
    let settings = FetchSettings { ranges_ahead: 2, ..settings() };
    let mut bench = start(&relay, settings);
    for applied in 0..10 {
        // As far ahead as it may go; then time for it to go further, if it would.
        while relay.count() < applied + 3 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(relay.count(), applied + 3, "pulls, while {applied} ranges are done with");
        bench.prefetcher.next().await.unwrap();
        if applied == 0 {
            // The first is being applied; it is done with when the next is asked for.
            bench.prefetcher.next().await.unwrap();
        }
    }
}

#[tokio::test]
async fn at_the_head_the_next_pull_reports_what_was_applied() {
    let relay = FakeRelay::start(|request, _| {
        let after = after(request);
        slices_reply(after + 100, after, &[after + 100])
    })
    .await;
    let mut bench = start(&relay, settings());
    for applied in 1..=5_u64 {
        let Fetched::Slices { standing, .. } = bench.prefetcher.next().await.unwrap() else {
            panic!()
        };
        bench.prefetcher.report(PullReport {
            terminal: Some(TerminalName::new("store-042").unwrap()),
            applied: Some(standing.through),
            ..PullReport::default()
        });
        assert_eq!(relay.count() as u64, applied);
    }
    let told: Vec<Option<String>> = relay
        .seen()
        .iter()
        .map(|seen| seen.header("tailwater-applied").map(str::to_owned))
        .collect();
    let expected = [None, Some("0/C8"), Some("0/12C"), Some("0/190"), Some("0/1F4")];
    assert_eq!(told, expected.map(|lsn| lsn.map(str::to_owned)));
}

#[tokio::test]
async fn an_error_is_handed_out_behind_what_came_before_it() {
    let relay = FakeRelay::start(|request, _| match after(request) {
        100 => slices_reply(500, 100, &[200]),
        _ => Reply::problem_of(ProblemKind::OtherHistory),
    })
    .await;
    let mut bench = start(&relay, settings());
    assert!(matches!(bench.prefetcher.next().await, Ok(Fetched::Slices { .. })));
    let error = bench.prefetcher.next().await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::OtherHistory), "{error}");
    assert!(matches!(bench.prefetcher.next().await, Err(FetchError::Ended)));
}

#[tokio::test]
async fn a_relay_that_is_behind_is_no_error() {
    let relay = FakeRelay::start(|_, before| match before {
        0 => Reply::problem_of(ProblemKind::BehindYou),
        _ => nothing_reply(100),
    })
    .await;
    let mut bench = start(&relay, settings());
    assert!(matches!(bench.prefetcher.next().await, Ok(Fetched::Behind { head: None })));
    assert!(matches!(bench.prefetcher.next().await, Ok(Fetched::Nothing { .. })));
}

#[tokio::test]
async fn a_range_that_moved_is_pulled_again_and_what_is_there_is_not_fetched_twice() {
    let (kept, lost, new) =
        (object_bytes("a", 5000), object_bytes("b", 5000), object_bytes("c", 5000));
    let first = manifest(vec![range(100, 300, &kept, std::slice::from_ref(&lost), "s")]);
    let then = manifest(vec![range(100, 300, &kept, std::slice::from_ref(&new), "s")]);
    let (all, gone) = ([kept.clone(), new.clone()], Hash::of(&lost).to_string());
    let relay = FakeRelay::start(move |request, before| {
        if request.path.ends_with("/log") {
            return match (after(request), before) {
                (100, 0) => manifest_reply(300, &first),
                (100, _) => manifest_reply(300, &then),
                (other, _) => nothing_reply(other),
            };
        }
        if request.path.ends_with(&gone) {
            return Reply::problem_of(ProblemKind::NotFound);
        }
        let wanted = |bytes: &&Vec<u8>| request.path.ends_with(&Hash::of(bytes).to_string());
        Reply::new(200, &[], all.iter().find(wanted).unwrap())
    })
    .await;
    // One at a time, so that the first is there when the second fails.
    let mut bench = start(&relay, FetchSettings { parallel_objects: 1, ..settings() });
    match bench.prefetcher.next().await.unwrap() {
        Fetched::Closed { files, .. } => {
            assert_eq!(std::fs::read(files[0].object.path()).unwrap(), kept);
            assert_eq!(std::fs::read(files[0].parts[0].path()).unwrap(), new);
        }
        other => panic!("{other:?}"),
    }
    let name = Hash::of(&kept).to_string();
    let times = relay.seen().iter().filter(|seen| seen.path.ends_with(&name)).count();
    assert_eq!(times, 1);
}

#[tokio::test]
async fn a_dropped_prefetcher_lets_go_of_everything() {
    let relay = FakeRelay::start(|request, _| {
        let after = after(request);
        slices_reply(1_000_000, after, &[after + 100]).without_last(1).stalling()
    })
    .await;
    let Bench { prefetcher, spool, _parent } = start(&relay, settings());
    while relay.count() == 0 {
        tokio::task::yield_now().await;
    }
    drop(prefetcher);
    while Arc::strong_count(&spool) > 1 {
        tokio::task::yield_now().await;
    }
}
