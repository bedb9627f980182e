//! With tokens, each request needs one of the right role.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use wire::{Lsn, ProblemKind, headers};

use super::relay::{Relay, empty_snapshot, ok, problem, slices, small};
use crate::{
    access::{Role, TokenFolder},
    feed::{Feed, channel},
    server::ServerSettings,
};

fn add(data: &std::path::Path, name: &str, role: Role, channels: Option<&[&str]>) -> String {
    let channels: Option<BTreeSet<_>> =
        channels.map(|names| names.iter().map(|name| channel(name)).collect());
    let now = jiff::Timestamp::now();
    let folder = TokenFolder::new(data);
    folder.add(&name.parse().unwrap(), role, channels, now).unwrap().reveal().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_channels() {
    let data = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(data.path(), small()).await;
    let capture = add(data.path(), "capture", Role::Capture, None);
    let all = add(data.path(), "all", Role::Terminal, None);
    let some = add(data.path(), "some", Role::Terminal, Some(&["a"]));
    let ops = add(data.path(), "ops", Role::Ops, None);

    problem(relay.get("/v1/sources").await, ProblemKind::Unauthorized).await;
    for open in ["/healthz", "/readyz"] {
        ok(relay.get(open).await).await;
    }
    relay.token = Some("tw_wrong".into());
    problem(relay.get("/v1/sources").await, ProblemKind::Unauthorized).await;

    relay.token = Some(capture);
    let (session, mut feed) = relay.begin().await;
    relay.append(session, &feed.one(&[("a", b"1"), ("b", b"2"), ("control", b"3")])).await;
    problem(relay.pull(Lsn::new(1000), "").await, ProblemKind::Forbidden).await;

    relay.token = Some(some.clone());
    let found = slices(relay.pull(Lsn::new(1000), "").await).await;
    let names: Vec<&str> = found[0].header().channels.iter().map(|c| c.channel.as_str()).collect();
    assert_eq!(names, ["a", "control"]);
    let answer = ok(relay.pull(Lsn::new(1000), "&channels=a").await).await;
    assert_eq!(answer.headers()[headers::CHANNELS], "control,a");
    // A terminal that shows a hash of `b` has its rows: it must not pass over their changes.
    for (channel, fits) in [("a", true), ("control", true), ("b", false)] {
        let shown = format!("{channel}={}", wire::Hash::of(b"x"));
        let pull = relay.ask(Method::GET, "/v1/orders/log?after=0/3E9");
        let answer = pull.header(headers::HASHES, shown).send().await.unwrap();
        if fits {
            ok(answer).await;
        } else {
            let found = problem(answer, ProblemKind::Forbidden).await;
            assert!(found.detail.contains("loaded with 'b' too"), "{}", found.detail);
        }
    }
    problem(relay.pull(Lsn::new(1000), "&channels=a,b").await, ProblemKind::Forbidden).await;
    problem(relay.get("/v1/orders/snapshot?channels=b").await, ProblemKind::Forbidden).await;
    ok(relay.get("/v1/orders/lag").await).await;
    let slice = feed.one(&[("a", b"4")]);
    problem(relay.post_slice(session, &slice).await, ProblemKind::Forbidden).await;
    let forget = relay.ask(Method::DELETE, "/v1/orders/terminals/t").send().await.unwrap();
    problem(forget, ProblemKind::Forbidden).await;
    // It asks for a snapshot from where it is, and not for one more after the other.
    let want = async |query: &str| {
        let path = format!("/v1/orders/requests{query}");
        relay.ask(Method::POST, &path).body(r#"{"kind": "snapshot"}"#).send().await.unwrap()
    };
    ok(want("?from=0/3E8").await).await;
    problem(want("").await, ProblemKind::Forbidden).await;

    relay.token = Some(all);
    let found = slices(relay.pull(Lsn::new(1000), "").await).await;
    assert_eq!(found[0].header().channels.len(), 3);
    let answer = ok(relay.pull(Lsn::new(1000), "").await).await;
    assert_eq!(answer.headers()[headers::CHANNELS], "*");

    relay.token = Some(ops);
    let forget = relay.ask(Method::DELETE, "/v1/orders/terminals/t").send().await.unwrap();
    problem(forget, ProblemKind::NotFound).await;
    problem(relay.post_slice(session, &slice).await, ProblemKind::Forbidden).await;

    // Revoked: at once, also for a pull that waits.
    relay.token = Some(some);
    let waiting = relay.pull(Lsn::new(1100), "&wait=2");
    let revoking = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        TokenFolder::new(data.path()).revoke(&"some".parse().unwrap()).unwrap();
    };
    let (answer, ()) = tokio::join!(waiting, revoking);
    problem(answer, ProblemKind::Unauthorized).await;
    problem(relay.pull(Lsn::new(1000), "").await, ProblemKind::Unauthorized).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_loopback_nobody_comes_in_without_a_token() {
    let data = tempfile::tempdir().unwrap();
    let settings = ServerSettings { tokens_required: true, ..small() };
    let relay = Relay::start(data.path(), settings).await;
    problem(relay.get("/v1/sources").await, ProblemKind::Unauthorized).await;
    let session = relay.ask(Method::POST, "/v1/orders/session").send().await.unwrap();
    problem(session, ProblemKind::Unauthorized).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_hold_back_what_is_not_for_the_token() {
    let data = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(data.path(), small()).await;
    let begun = relay.session(true).await;
    let mut snapshot = empty_snapshot(begun.lineage.unwrap(), 1000);
    snapshot.hashes.set(channel("a"), wire::Hash::of(b"a"));
    snapshot.hashes.set(channel("b"), wire::Hash::of(b"b"));
    ok(relay.post_snapshot(begun.session, &snapshot).await).await;
    let _ = Feed::new(begun.lineage.unwrap(), Lsn::new(1000), Default::default());
    relay.token = Some(add(data.path(), "some", Role::Terminal, Some(&["a"])));
    let list = ok(relay.get("/v1/orders/snapshot").await).await;
    assert_eq!(list.headers()[headers::LINEAGE], begun.lineage.unwrap().to_string());
    assert_eq!(list.headers()[headers::CHANNELS], "control,a");
    assert!(list.headers().contains_key(headers::CAPTURE));
    let list: wire::SnapshotList = list.json().await.unwrap();
    let names: Vec<String> =
        list.snapshots[0].hashes.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["a"]);
}
