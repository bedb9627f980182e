use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use wire::{Hash, ManifestRange, ProblemKind};

use super::{
    fake::{FakeRelay, Reply, Request},
    samples::{
        impatient, lsn, manifest, manifest_object, manifest_reply, object_bytes, pull_after, range,
        relays_with, settings, slices_reply,
    },
};
use crate::fetch::{
    FetchError, FetchSettings, Relays, Spool,
    ranges::{Kept, fetch_range},
    whereabouts::Whereabouts,
};
use crate::range::ChannelFiles;

/// What a good relay answers for an object.
fn object_reply(request: &Request, bytes: &[u8]) -> Reply {
    let len = bytes.len();
    match request.range() {
        None => Reply::new(200, &[("Content-Type", "application/octet-stream")], bytes),
        Some(from) => {
            let range = format!("bytes {from}-{}/{len}", len - 1);
            Reply::new(206, &[("Content-Range", &range)], &bytes[from..])
        }
    }
}

struct Bench {
    relays: Relays,
    spool: Arc<Spool>,
    _parent: tempfile::TempDir,
}

impl Bench {
    fn new(relays: &[&FakeRelay], settings: FetchSettings) -> Self {
        let relays = relays_with(relays.iter().map(|relay| relay.address()).collect(), settings);
        let parent = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::create(Some(parent.path())).unwrap());
        Self { relays, spool, _parent: parent }
    }

    async fn fetch(&self, range: &ManifestRange) -> Result<Option<Vec<ChannelFiles>>, FetchError> {
        let whereabouts = Whereabouts::of_range(0, range, pull_after(range.after));
        fetch_range(&self.relays, &self.spool, &whereabouts, range, &mut Kept::new()).await
    }

    /// Files in the spool beside its lock.
    fn files(&self) -> usize {
        std::fs::read_dir(self.spool.path()).unwrap().count() - 1
    }
}

fn content(files: &[ChannelFiles]) -> Vec<u8> {
    std::fs::read(files[0].object.path()).unwrap()
}

#[tokio::test]
async fn objects_come_into_the_spool_and_go_when_they_are_done_with() {
    let object = object_bytes("a", 1_500_000);
    let parts: Vec<Vec<u8>> =
        (0..9).map(|part| object_bytes(&format!("part {part}"), 100_000)).collect();
    let listed = range(100, 300, &object, &parts, "s");
    let all = [vec![object.clone()], parts.clone()].concat();
    let relay = FakeRelay::start(move |request, _| {
        let wanted = |bytes: &&Vec<u8>| request.path.ends_with(&Hash::of(bytes).to_string());
        object_reply(request, all.iter().find(wanted).unwrap())
    })
    .await;
    let bench = Bench::new(&[&relay], settings());
    let files = bench.fetch(&listed).await.unwrap().unwrap();
    assert_eq!(content(&files), object);
    assert_eq!(files[0].object.name(), Hash::of(&object));
    for (file, bytes) in files[0].parts.iter().zip(&parts) {
        assert_eq!(&std::fs::read(file.path()).unwrap(), bytes);
    }
    assert_eq!((relay.count(), bench.files(), files[0].parts.len()), (10, 10, 9));
    for seen in relay.seen() {
        assert_eq!(seen.query, "exp=1&sig=s");
        assert_eq!(seen.header("authorization"), None);
    }
    drop(files);
    assert_eq!(bench.files(), 0);
}

#[tokio::test]
async fn a_cut_object_goes_on_where_it_broke_off() {
    let object = object_bytes("a", 300_000);
    let listed = range(100, 300, &object, &[], "s");
    let bytes = object.clone();
    let relay = FakeRelay::start(move |request, before| {
        let reply = object_reply(request, &bytes);
        match before {
            0 => reply.without_last(200_000),
            1 => reply.without_last(50_000),
            _ => reply,
        }
    })
    .await;
    let bench = Bench::new(&[&relay], settings());
    assert_eq!(content(&bench.fetch(&listed).await.unwrap().unwrap()), object);
    let ranges: Vec<Option<usize>> = relay.seen().iter().map(Request::range).collect();
    assert_eq!(ranges, [None, Some(100_000), Some(250_000)]);
    let name = format!("\"{}\"", Hash::of(&object));
    assert_eq!(relay.seen()[1].header("if-range"), Some(name.as_str()));
}

#[tokio::test]
async fn a_relay_that_begins_again_from_the_front_is_followed() {
    let object = object_bytes("a", 300_000);
    let len = object.len();
    let whole = Reply::new(200, &[], &object);
    let half = whole.clone().without_last(len / 2);
    let other_part = Reply::new(206, &[("Content-Range", "bytes 7-299999/300000")], &object[7..]);
    let other_length = Reply::new(206, &[("Content-Range", "bytes 150000-399999/400000")], &object);
    let listed = range(100, 300, &object, &[], "s");
    for (name, replies) in [
        ("ignores Range", vec![half.clone(), whole.clone()]),
        ("refuses Range", vec![half.clone(), Reply::html(416), whole.clone()]),
        ("another part", vec![half.clone(), other_part, whole.clone()]),
        ("another length", vec![half.clone(), other_length, whole.clone()]),
        ("a part without saying which", vec![half, Reply::new(206, &[], &object), whole.clone()]),
        (
            "too long",
            vec![Reply::new(200, &[], &[object.clone(), vec![0]].concat()), whole.clone()],
        ),
        ("a login page", vec![Reply::html(200), whole.clone()]),
        ("compressed", vec![whole.clone().with("Content-Encoding: gzip"), whole.clone()]),
        ("overloaded", vec![Reply::problem_of(ProblemKind::Unavailable), whole]),
    ] {
        let replies = Arc::new(replies);
        let (next, again) = (AtomicUsize::new(0), manifest(vec![listed.clone()]));
        let relay = FakeRelay::start(move |request, _| {
            if request.path.ends_with("/log") {
                return manifest_reply(300, &again);
            }
            replies[next.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1)].clone()
        })
        .await;
        let bench = Bench::new(&[&relay], settings());
        let fetched = bench.fetch(&listed).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(content(&fetched.unwrap()), object, "{name}");
    }
}

#[tokio::test]
async fn damaged_bytes_are_fetched_once_more_past_caches_then_refused() {
    let object = object_bytes("a", 1000);
    let listed = range(100, 300, &object, &[], "s");
    let damaged = Reply::new(200, &[], &object_bytes("b", 1000));
    let healed = vec![damaged.clone(), Reply::new(200, &[], &object)];
    let relay = FakeRelay::scripted(healed).await;
    let bench = Bench::new(&[&relay], settings());
    assert_eq!(content(&bench.fetch(&listed).await.unwrap().unwrap()), object);
    let asked: Vec<Option<String>> =
        relay.seen().iter().map(|seen| seen.header("cache-control").map(str::to_owned)).collect();
    assert_eq!(asked, [None, Some("no-cache".to_owned())]);

    let relay = FakeRelay::scripted(vec![damaged]).await;
    let bench = Bench::new(&[&relay], settings());
    let error = bench.fetch(&listed).await.unwrap_err();
    assert!(matches!(error, FetchError::Damaged { name, .. } if name == Hash::of(&object)));
    assert!(error.to_string().contains(&relay.address().to_string()), "{error}");
    assert_eq!((error.exit_code(), relay.count(), bench.files()), (1, 2, 0));
}

#[tokio::test]
async fn another_relay_heals_what_one_has_damaged() {
    let object = object_bytes("a", 1000);
    let listed = range(100, 300, &object, &[], "s");
    let first = FakeRelay::scripted(vec![Reply::new(200, &[], &object_bytes("b", 1000))]).await;
    let (bytes, again) = (object.clone(), manifest(vec![range(50, 300, &object, &[], "other")]));
    let second = FakeRelay::start(move |request, _| match request.path.ends_with("/log") {
        true => manifest_reply(300, &again),
        false => object_reply(request, &bytes),
    })
    .await;
    let settings = FetchSettings { distrust: std::time::Duration::from_secs(3600), ..settings() };
    let bench = Bench::new(&[&first, &second], settings);
    assert_eq!(content(&bench.fetch(&listed).await.unwrap().unwrap()), object);
    assert_eq!(first.count(), 2);
    assert_eq!(second.seen()[1].query, "exp=1&sig=other");
}

#[tokio::test]
async fn a_signature_that_has_run_out_is_renewed_once_for_all() {
    let object = object_bytes("a", 1000);
    let parts: Vec<Vec<u8>> = (0..3).map(|part| object_bytes(&part.to_string(), 500)).collect();
    let listed = range(100, 300, &object, &parts, "old");
    let again = manifest(vec![range(100, 300, &object, &parts, "new")]);
    let all = [vec![object.clone()], parts].concat();
    let relay = FakeRelay::start(move |request, _| {
        if request.path.ends_with("/log") {
            return manifest_reply(300, &again);
        }
        if request.query.ends_with("sig=old") {
            return Reply::problem_of(ProblemKind::Forbidden);
        }
        let wanted = |bytes: &&Vec<u8>| request.path.ends_with(&Hash::of(bytes).to_string());
        object_reply(request, all.iter().find(wanted).unwrap())
    })
    .await;
    let bench = Bench::new(&[&relay], settings());
    assert_eq!(content(&bench.fetch(&listed).await.unwrap().unwrap()), object);
    let pulls = relay.seen().iter().filter(|seen| seen.path.ends_with("/log")).count();
    assert_eq!(pulls, 1);
}

#[tokio::test]
async fn a_relay_that_dies_half_way_is_replaced_and_what_is_there_is_kept() {
    let object = object_bytes("a", 300_000);
    let again = manifest(vec![range(100, 300, &object, &[], "other")]);
    let listed = range(100, 300, &object, &[], "s");
    let half = Reply::new(200, &[], &object).without_last(150_000);
    let first = FakeRelay::scripted(vec![half, Reply::raw("")]).await;
    let bytes = object.clone();
    let second = FakeRelay::start(move |request, _| match request.path.ends_with("/log") {
        true => manifest_reply(300, &again),
        false => object_reply(request, &bytes),
    })
    .await;
    let bench = Bench::new(&[&first, &second], settings());
    assert_eq!(content(&bench.fetch(&listed).await.unwrap().unwrap()), object);
    assert_eq!(second.count(), 2);
    assert_eq!(second.seen()[1].range(), Some(150_000));
}

#[tokio::test]
async fn a_relay_that_asks_to_be_left_alone_is_asked_for_no_object() {
    let object = object_bytes("a", 1000);
    let again = manifest(vec![range(100, 300, &object, &[], "other")]);
    let listed = range(100, 300, &object, &[], "s");
    let busy = Reply::problem_of(ProblemKind::Unavailable).with("Retry-After: 3600");
    let first = FakeRelay::scripted(vec![busy]).await;
    let bytes = object.clone();
    let second = FakeRelay::start(move |request, _| match request.path.ends_with("/log") {
        true => manifest_reply(300, &again),
        false => object_reply(request, &bytes),
    })
    .await;
    let bench = Bench::new(&[&first, &second], settings());
    for _ in 0..2 {
        // Both times listed by the first.
        assert_eq!(content(&bench.fetch(&listed).await.unwrap().unwrap()), object);
    }
    assert_eq!((first.count(), second.count()), (1, 4));
}

#[tokio::test]
async fn an_object_is_asked_for_again_when_its_relay_may_be_asked() {
    let object = object_bytes("a", 1000);
    let again = manifest(vec![range(100, 300, &object, &[], "s")]);
    let listed = range(100, 300, &object, &[], "s");
    let bytes = object.clone();
    let relay = FakeRelay::start(move |request, before| {
        if request.path.ends_with("/log") {
            return manifest_reply(300, &again);
        }
        match before {
            0 => Reply::html(503).with("Retry-After: 1"),
            _ => object_reply(request, &bytes),
        }
    })
    .await;
    let bench = Bench::new(&[&relay], settings());
    assert_eq!(content(&bench.fetch(&listed).await.unwrap().unwrap()), object);
    let seen = relay.seen();
    assert!(seen[1].at - seen[0].at >= std::time::Duration::from_secs(1));
}

#[tokio::test]
async fn a_range_that_is_packed_otherwise_by_now_is_pulled_again() {
    let object = object_bytes("a", 1000);
    let listed = range(100, 300, &object, &[], "s");
    let moved = manifest(vec![range(100, 500, &object_bytes("b", 1000), &[], "s")]);
    for answer in [manifest_reply(500, &moved), slices_reply(300, 100, &[300])] {
        let relay = FakeRelay::start(move |request, _| match request.path.ends_with("/log") {
            true => answer.clone(),
            false => Reply::problem_of(ProblemKind::NotFound),
        })
        .await;
        let bench = Bench::new(&[&relay], settings());
        assert!(bench.fetch(&listed).await.unwrap().is_none());
        assert_eq!(bench.files(), 0);
    }
}

#[tokio::test]
async fn an_object_that_never_comes_ends_patience() {
    let listed = range(100, 300, &object_bytes("a", 1000), &[], "s");
    let again = manifest(vec![listed.clone()]);
    let relay = FakeRelay::start(move |request, _| match request.path.ends_with("/log") {
        true => manifest_reply(300, &again),
        false => Reply::problem_of(ProblemKind::NotFound),
    })
    .await;
    let error = Bench::new(&[&relay], impatient()).fetch(&listed).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_code(), 4);
    assert!(
        text.contains(&manifest_object(&object_bytes("a", 1000), "").name.to_string()),
        "{text}"
    );
    assert!(!text.contains("sig="), "{text}");
    assert_eq!(lsn(300), listed.through);
}
