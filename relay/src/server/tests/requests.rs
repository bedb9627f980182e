//! What is wanted of capture.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::json;
use wire::{CaptureState, Lsn, ProblemKind, Request, RequestAnswer, RequestList};

use super::relay::{Relay, empty_snapshot, ok, problem, small};

const REQUESTS: &str = "/v1/orders/requests";

async fn want(relay: &Relay, body: serde_json::Value) -> Response {
    relay.ask(Method::POST, REQUESTS).json(&body).send().await.unwrap()
}

/// A request goes to whoever polls until a snapshot comes that is not older than it.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_stays_until_it_is_fulfilled() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    let head = relay.append(session, &feed.one(&[("a", b"1")])).await;
    assert_eq!(relay.get(&format!("{REQUESTS}?wait=0.1")).await.status(), 204);

    let poll = async || relay.get(&format!("{REQUESTS}?wait=30")).await;
    let asking = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        ok(want(&relay, json!({"kind": "snapshot"})).await).await
    };
    let (asked, answer) = tokio::join!(poll(), asking);
    let answer: RequestAnswer = answer.json().await.unwrap();
    assert_eq!((answer.head, answer.newest), (head, Some(Lsn::new(1000))));
    assert_eq!(answer.capture, CaptureState::Streaming);
    let asked: RequestList = asked.json().await.unwrap();
    assert_eq!(asked.requests, [Request::Snapshot]);
    ok(want(&relay, json!({"kind": "snapshot"})).await).await;
    let again: RequestList = poll().await.json().await.unwrap();
    assert_eq!(again.requests, [Request::Snapshot], "who took it first may have died over it");

    let older = empty_snapshot(feed.lineage, head.get() - 1);
    ok(relay.post_snapshot(session, &older).await).await;
    assert_eq!(poll().await.status(), 200, "that one is older than the request");
    ok(relay.post_snapshot(session, &empty_snapshot(feed.lineage, head.get())).await).await;
    assert_eq!(relay.get(REQUESTS).await.status(), 204);
    assert_eq!(relay.session(false).await.snapshot.unwrap().lsn, head);
}

/// Terminals ask for one from their own position on: many of them are one request, and none where it is there.
#[tokio::test(flavor = "multi_thread")]
async fn one_from_a_position_on_is_asked_for_once() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    let middle = relay.append(session, &feed.one(&[("a", b"1")])).await;
    let head = relay.append(session, &feed.one(&[("a", b"2")])).await;
    let ask = async |from: String| {
        let path = format!("{REQUESTS}?from={from}");
        relay.ask(Method::POST, &path).json(&json!({"kind": "snapshot"})).send().await.unwrap()
    };
    let status = async || relay.get(&format!("{REQUESTS}?wait=0.1")).await.status();
    let answer: RequestAnswer =
        ok(ask(Lsn::new(1000).to_string()).await).await.json().await.unwrap();
    assert_eq!(
        (answer.newest, status().await.as_u16()),
        (Some(Lsn::new(1000)), 204),
        "it is there"
    );
    ok(ask(middle.to_string()).await).await;
    ok(ask(Lsn::new(1001).to_string()).await).await;
    assert_eq!(status().await, 200);
    ok(relay.post_snapshot(session, &empty_snapshot(feed.lineage, middle.get())).await).await;
    assert_eq!(status().await, 204, "one is enough for both, though the head is beyond it");
    // A position beyond the head is that of a relay that is ahead: none can be wanted yet, however often.
    ok(ask(Lsn::new(u64::MAX).to_string()).await).await;
    assert_eq!(status().await, 204);
    ok(relay.post_snapshot(session, &empty_snapshot(feed.lineage, head.get())).await).await;
    assert_eq!(status().await, 204);
    problem(ask("soon".into()).await, ProblemKind::BadRequest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let snapshot = json!({"kind": "snapshot"});
    problem(want(&relay, snapshot.clone()).await, ProblemKind::UnknownSource).await;
    relay.session(true).await;
    let early = problem(want(&relay, snapshot).await, ProblemKind::Unavailable).await;
    assert!(early.detail.contains("first copy"), "{}", early.detail);
    for wrong in [json!({}), json!({"kind": "coffee"}), json!("snapshot")] {
        problem(want(&relay, wrong).await, ProblemKind::BadRequest).await;
    }
    let long = relay.ask(Method::POST, REQUESTS).body(vec![b' '; 10 << 10]).send().await.unwrap();
    problem(long, ProblemKind::TooLarge).await;
}
