//! A terminal's side.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Method;
use wire::{Hash, Lsn, ObjectReader, ProblemKind, Slice, headers};

use super::relay::{Relay, fetched, header_lsn, manifest, ok, problem, slices, small};
use crate::feed::Feed;

pub(super) fn noise(n: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&n.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub(super) async fn fill(relay: &Relay, session: u64, feed: &mut Feed, count: u64) -> Vec<Slice> {
    let mut appended = Vec::new();
    for n in 0..count {
        let row = noise(feed.at, 2000);
        let slice = feed.one(&[(if n % 2 == 0 { "a" } else { "b" }, &row)]);
        relay.append(session, &slice).await;
        appended.push(slice);
    }
    appended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_wakes_with_what_comes() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    let began = Instant::now();
    let nothing = relay.pull(Lsn::new(1000), "&wait=0.3").await;
    assert_eq!(nothing.status(), 204);
    assert!(began.elapsed() >= Duration::from_millis(300));
    let slice = feed.one(&[("a", b"1")]);
    let began = Instant::now();
    let (answer, _) = tokio::join!(relay.pull(Lsn::new(1000), "&wait=20"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        relay.append(session, &slice).await
    });
    assert_eq!(slices(answer).await[0].bytes(), slice.bytes());
    assert!(began.elapsed() < Duration::from_secs(5));
    // Nothing for its channels: it waits a little for more, then moves on.
    let other = feed.one(&[("b", b"2")]);
    relay.append(session, &other).await;
    let began = Instant::now();
    let moved = slices(relay.pull(Lsn::new(1100), "&channels=a&wait=20").await).await;
    assert!(moved[0].header().is_progress() || moved[0].header().channels.is_empty());
    assert_eq!(moved[0].header().through, Lsn::new(1200));
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&began.elapsed()));
    // Without a wait it is told at once.
    let began = Instant::now();
    assert_eq!(slices(relay.pull(Lsn::new(1100), "&channels=a").await).await.len(), 1);
    assert!(began.elapsed() < Duration::from_millis(500));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_wakes_whoever_waits() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    relay.begin().await;
    let url = format!("http://{}/v1/orders/log?after=0/3E8&wait=60", relay.address);
    let polls: Vec<_> = (0..20).map(|_| tokio::spawn(relay.client.get(&url).send())).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    relay.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for poll in polls {
        assert_eq!(poll.await.unwrap().unwrap().status(), 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_position_has_its_answer() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    relay.append(session, &feed.one(&[("a", b"1")])).await;
    let ahead = problem(relay.pull(Lsn::new(1200), "").await, ProblemKind::BehindYou).await;
    assert_eq!(ahead.head, Some(Lsn::new(1100)));
    let below = problem(relay.pull(Lsn::new(900), "").await, ProblemKind::Expired).await;
    assert_eq!((below.lsn, below.horizon), (Some(Lsn::new(1000)), Some(Lsn::new(1000))));
    let pull = |name: &'static str, value: String| {
        let request = relay.ask(Method::GET, "/v1/orders/log?after=0/3E8").header(name, value);
        async move { request.send().await.unwrap() }
    };
    let foreign = pull(headers::LINEAGE, "09".repeat(16)).await;
    problem(foreign, ProblemKind::OtherLineage).await;
    let other = pull(headers::HASHES, format!("b={0},a={0}", Hash::of(b"x"))).await;
    let other = problem(other, ProblemKind::OtherHistory).await;
    assert_eq!(other.lsn, Some(Lsn::new(1000)));
    let genesis = Hash::genesis(feed.lineage, &crate::feed::channel("a"));
    ok(pull(headers::HASHES, format!("a={genesis}")).await).await;

    for bad in [
        "",
        "?after=",
        "?after=1",
        "?after=0/1&limit=x",
        "?after=0/1&channels=a/b",
        "?after=0/1&wait=x",
        "?after=%FF",
    ] {
        problem(relay.get(&format!("/v1/orders/log{bad}")).await, ProblemKind::BadRequest).await;
    }
    for (name, value) in [
        (headers::LINEAGE, "x"),
        (headers::HASHES, "a"),
        (headers::HASHES, "a=x"),
        (headers::TERMINAL, "a b"),
        (headers::APPLIED, "x"),
    ] {
        let mut request = relay.ask(Method::GET, "/v1/orders/log?after=0/3E8").header(name, value);
        if name != headers::TERMINAL {
            request = request.header(headers::TERMINAL, "t");
        }
        problem(request.send().await.unwrap(), ProblemKind::BadRequest).await;
    }
    problem(relay.get("/v1/a b/log?after=0/1").await, ProblemKind::BadRequest).await;
    problem(relay.get("/v1/none/log?after=0/1").await, ProblemKind::UnknownSource).await;
    problem(relay.get("/nothing").await, ProblemKind::NotFound).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_comes_as_a_manifest() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    fill(&relay, session, &mut feed, 150).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut at = Lsn::new(1000);
    let (mut ranges, mut inline) = (0, 0);
    while at < Lsn::new(feed.at) {
        assert!(Instant::now() < deadline);
        let answer = ok(relay.pull(at, "&channels=b&limit=10000").await).await;
        let through = header_lsn(&answer, headers::THROUGH);
        if answer.headers()["content-type"] != wire::MANIFEST_TYPE {
            inline += slices(answer).await.len();
            at = through;
            continue;
        }
        let manifest = manifest(answer).await;
        assert_eq!(manifest.lineage, feed.lineage);
        for range in manifest.ranges {
            assert!(range.after <= at);
            at = range.through;
            ranges += 1;
            let names: Vec<&str> = range.channels.iter().map(|c| c.channel.as_str()).collect();
            assert_eq!(names, ["b"], "of the channels asked for only");
            let channel = &range.channels[0];
            let (name, bytes) = fetched(&relay, &channel.object.url).await;
            assert_eq!((name, bytes.len() as u64), (channel.object.name, channel.object.len));
            let object = ObjectReader::named(bytes, name).unwrap();
            assert_eq!(object.header().raw_len, channel.raw_len);
        }
        assert_eq!(at, through);
    }
    assert!(ranges > 2 && inline > 2, "{ranges} ranges, {inline} slices");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_transaction_goes_through_whole() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    let (slice, objects) = feed.huge("a", &noise(1, 10_000), session);
    let early = problem(relay.post_slice(session, &slice).await, ProblemKind::Malformed).await;
    assert!(early.detail.contains("part object"), "{}", early.detail);
    for (_, bytes) in &objects {
        ok(relay.post_bytes("/v1/orders/objects", session, bytes.clone()).await).await;
    }
    relay.append(session, &slice).await;
    let manifest = manifest(relay.pull(Lsn::new(1000), "").await).await;
    let channel = &manifest.ranges[0].channels[0];
    assert_eq!(channel.parts.len(), objects.len());
    for (part, (name, bytes)) in channel.parts.iter().zip(&objects) {
        assert_eq!(fetched(&relay, &part.url).await, (*name, bytes.clone()));
    }
    let (name, _) = fetched(&relay, &channel.object.url).await;
    assert_eq!(name, channel.object.name);
    // A terminal without that channel gets a slice as ever.
    assert_eq!(slices(relay.pull(Lsn::new(1000), "&channels=b").await).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_that_cannot_be_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    let slice = feed.one(&[("a", &noise(1, 100_000))]);
    let log = "/v1/orders/log";
    let bytes = slice.bytes();
    for cut in [0, 3, 50, bytes.len() - 1] {
        let answer = relay.post_bytes(log, session, bytes.slice(..cut)).await;
        problem(answer, ProblemKind::Malformed).await;
    }
    for at in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 4;
        let answer = relay.post_bytes(log, session, damaged.into()).await;
        problem(answer, ProblemKind::Malformed).await;
    }
    let no_session = relay.ask(Method::POST, log).body(bytes.clone()).send().await.unwrap();
    problem(no_session, ProblemKind::BadRequest).await;
    problem(relay.post_bytes(log, 99, bytes.clone()).await, ProblemKind::Fenced).await;
    relay.append(session, &slice).await;
    relay.append(session, &slice).await;
    let (newer, _) = relay.resume().await;
    let fenced = relay.post_slice(session, &feed.one(&[("a", b"2")])).await;
    let fenced = problem(fenced, ProblemKind::Fenced).await;
    assert!(fenced.detail.contains(&newer.to_string()), "{}", fenced.detail);
    let mut other = Feed::new(feed.lineage, Lsn::new(1100), Default::default());
    problem(relay.post_slice(newer, &other.one(&[("a", b"X")])).await, ProblemKind::Chain).await;
    let empty: Bytes = Bytes::new();
    problem(relay.post_bytes("/v1/none/log", 1, empty).await, ProblemKind::UnknownSource).await;
}
