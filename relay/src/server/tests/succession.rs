//! A log that takes another one's place.

use std::path::Path;

use reqwest::{Method, Response};
use serde_json::json;
use wire::{Lineage, Lsn, ProblemKind, SessionAnswer, TerminalState, headers};

use super::relay::{Relay, empty_snapshot, facts, ok, problem, slices, small};
use crate::feed::Feed;

const OTHER: Lineage = Lineage::from_bytes([9; 16]);

async fn succeed(relay: &Relay, lineage: Lineage) -> Response {
    let succession = json!({"lineage": lineage, "why": "the slot was lost"});
    let body = json!({"facts": facts(), "begin": true, "succeed": succession});
    relay.ask(Method::POST, "/v1/orders/session").json(&body).send().await.unwrap()
}

async fn pull(relay: &Relay, lineage: Lineage, more: &str) -> Response {
    let request = relay.ask(Method::GET, &format!("/v1/orders/log?after=0/3E8{more}"));
    request
        .header(headers::LINEAGE, lineage.to_string())
        .header(headers::TERMINAL, "store")
        .header(headers::APPLIED, "0/3E8")
        .header(headers::STATE, "ok")
        .send()
        .await
        .unwrap()
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("orders")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_by_key(|name| name == "LOG");
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_only_in_the_place_of_the_one_meant_and_stays() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    problem(succeed(&relay, OTHER).await, ProblemKind::UnknownSource).await;
    let (old_session, mut feed) = relay.begin().await;
    let first = feed.lineage;
    relay.append(old_session, &feed.one(&[("a", b"1")])).await;
    ok(pull(&relay, first, "").await).await;
    problem(succeed(&relay, OTHER).await, ProblemKind::OtherLineage).await;
    relay.append(old_session, &feed.one(&[("a", b"2")])).await;

    let answer: SessionAnswer = ok(succeed(&relay, first).await).await.json().await.unwrap();
    let second = answer.lineage.unwrap();
    assert!(second != first && answer.session > old_session, "{answer:?}");
    assert_eq!((answer.head, answer.succeeds), (None, vec![first]));
    let again: SessionAnswer = ok(succeed(&relay, first).await).await.json().await.unwrap();
    assert_eq!(again.lineage, Some(second), "said twice is once");
    problem(relay.post_slice(old_session, &feed.one(&[("a", b"3")])).await, ProblemKind::Fenced)
        .await;
    let said = problem(pull(&relay, first, "").await, ProblemKind::Succeeded).await.detail;
    assert!(said.contains("the slot was lost") && said.contains(&second.to_string()), "{said}");
    problem(pull(&relay, OTHER, "").await, ProblemKind::OtherLineage).await;
    let list = relay.snapshots("").await;
    assert_eq!((list.snapshots, list.succeeds), (vec![], vec![first]));

    ok(relay.post_snapshot(again.session, &empty_snapshot(second, 500)).await).await;
    let mut feed = Feed::new(second, Lsn::new(500), Default::default());
    relay.append(again.session, &feed.one(&[("a", b"4")])).await;
    problem(succeed(&relay, first).await, ProblemKind::OtherLineage).await;
    relay.stop().await;

    let relay = Relay::start(data.path(), small()).await;
    assert_eq!(entries(data.path()), [second.to_string(), "LOG".to_owned()]);
    let found = slices(relay.pull(Lsn::new(500), "").await).await;
    assert_eq!(found[0].header().lineage, second);
    problem(pull(&relay, first, "").await, ProblemKind::Succeeded).await;
    let lag = relay.lag().await;
    let of = lag.terminals.first().unwrap();
    assert_eq!((of.name.as_str(), of.state), ("store", TerminalState::Behind));
    assert!(of.error.as_deref().unwrap().contains("by itself"), "{of:?}");
    // A third one, and both before it are known.
    let answer: SessionAnswer = ok(succeed(&relay, second).await).await.json().await.unwrap();
    assert_eq!(answer.succeeds, [first, second]);
    problem(pull(&relay, first, "").await, ProblemKind::Succeeded).await;
    problem(pull(&relay, second, "").await, ProblemKind::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_the_log_that_ends_is_told() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (_, feed) = relay.begin().await;
    let waiting = pull(&relay, feed.lineage, "&wait=60");
    let succeeding = async {
        // Whatever comes first, the answer is the same.
        tokio::task::yield_now().await;
        ok(succeed(&relay, feed.lineage).await).await
    };
    let (waited, _) = tokio::join!(waiting, succeeding);
    problem(waited, ProblemKind::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_and_not_appointed_is_nothing() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (_, feed) = relay.begin().await;
    relay.stop().await;
    let half = data.path().join("orders").join(OTHER.to_string());
    std::fs::create_dir_all(half.join("catalog")).unwrap();
    let relay = Relay::start(data.path(), small()).await;
    assert!(!half.exists());
    assert_eq!(relay.lag().await.lineage, feed.lineage);
    relay.stop().await;
    // The other way round: what is said to be there is not.
    std::fs::write(data.path().join("orders/LOG"), OTHER.to_string()).unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let said = problem(relay.get("/v1/orders/lag").await, ProblemKind::Corrupt).await.detail;
    assert!(said.contains("put the source's folder back"), "{said}");
    assert!(data.path().join("orders/catalog").exists(), "nothing was removed");
}
