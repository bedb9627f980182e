//! How far a position is behind, as a terminal is told of its own.

use reqwest::Method;
use wire::{Behind, Lineage, Lsn, ProblemKind, headers};

use super::relay::{Relay, ok, problem, small};

async fn behind(relay: &Relay, query: &str) -> Behind {
    let answer = relay.get(&format!("/v1/orders/behind?{query}")).await;
    ok(answer).await.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_between_is_counted_for_the_channels_asked_for() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    relay.append(session, &feed.one(&[("a", b"1")])).await;
    relay.append(session, &feed.one(&[("b", b"2")])).await;
    relay.append(session, &feed.one(&[("a", b"3"), ("b", b"4")])).await;

    let all = behind(&relay, "after=0/3E8").await;
    assert_eq!((all.lineage, all.head, all.lag_bytes), (feed.lineage, Lsn::new(1300), 300));
    assert_eq!((all.least_transactions, all.most_transactions), (3, Some(3)));
    assert!(all.lag_seconds > 1e6, "the commit that is lacking is of 2023: {}", all.lag_seconds);
    let a = behind(&relay, "after=0/3E8&channels=a").await;
    assert_eq!((a.least_transactions, a.most_transactions), (2, Some(2)));
    assert!(
        0 < a.fetch_bytes && a.fetch_bytes < all.fetch_bytes,
        "{} {}",
        a.fetch_bytes,
        all.fetch_bytes
    );
    let both = behind(&relay, "after=0/3E8&channels=a,b").await;
    assert_eq!((both.least_transactions, both.most_transactions), (3, Some(3)));
    // In the midst of a slice: how much of it is there is not told apart.
    let midst = behind(&relay, "after=0/41A").await;
    assert_eq!((midst.least_transactions, midst.most_transactions), (2, Some(3)));
    let head = behind(&relay, "after=0/514").await;
    assert_eq!((head.lag_bytes, head.lag_seconds, head.fetch_bytes), (0, 0.0, 0));
    assert_eq!((head.least_transactions, head.most_transactions), (0, Some(0)));
    assert!(relay.lag().await.terminals.is_empty(), "it is no report");

    // The same from the disk.
    relay.stop().await;
    let relay = Relay::start(data.path(), small()).await;
    let again = behind(&relay, "after=0/3E8").await;
    assert_eq!(Behind { lag_seconds: 0.0, ..again }, Behind { lag_seconds: 0.0, ..all });
}

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses_what_a_pull_would() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    relay.append(session, &feed.one(&[("a", b"1")])).await;
    let at = async |after: &str| relay.get(&format!("/v1/orders/behind?{after}")).await;
    problem(at("after=0/44D").await, ProblemKind::BehindYou).await;
    problem(at("after=0/1").await, ProblemKind::Expired).await;
    problem(at("").await, ProblemKind::BadRequest).await;
    let other = Lineage::from_bytes([9; 16]).to_string();
    for (header, value, kind) in [
        (headers::LINEAGE, other, ProblemKind::OtherLineage),
        (headers::HASHES, format!("a={}", wire::Hash::of(b"other")), ProblemKind::OtherHistory),
    ] {
        let request = relay.ask(Method::GET, "/v1/orders/behind?after=0/3E8");
        problem(request.header(header, value).send().await.unwrap(), kind).await;
    }
}
