use std::time::Duration;

use wire::{Problem, ProblemKind};

use super::{
    fake::{FakeRelay, Reply, nobody},
    samples::{impatient, lsn, nothing_reply, pull_after, relays_with, settings, slices_reply},
};
use crate::fetch::{FetchError, FetchSettings, Pulled, Refusal};

fn behind(head: u64) -> Reply {
    let problem = Problem::new(ProblemKind::BehindYou, "this relay is not there yet");
    Reply::problem(&Problem { head: Some(lsn(head)), ..problem })
}

async fn good() -> FakeRelay {
    FakeRelay::scripted(vec![slices_reply(300, 100, &[300])]).await
}

#[tokio::test]
async fn the_next_relay_takes_over_and_stays_in_use() {
    for bad in [
        Reply::html(200),
        Reply::html(502),
        Reply::html(404),
        Reply::raw(""),
        behind(50),
        Reply::problem_of(ProblemKind::Unavailable),
        Reply::problem_of(ProblemKind::Corrupt),
        Reply::problem_of(ProblemKind::UnknownSource),
        slices_reply(300, 100, &[300]).without_last(9),
    ] {
        let (first, second) = (FakeRelay::scripted(vec![bad.clone()]).await, good().await);
        let relays = relays_with(vec![first.address(), second.address()], settings());
        assert_eq!(relays.in_use(), first.address().to_string());
        for _ in 0..3 {
            let pulled = relays.pull(&pull_after(lsn(100))).await.unwrap();
            assert!(matches!(pulled, Pulled::Slices { .. }), "{bad:?}: {pulled:?}");
        }
        assert_eq!((first.count(), second.count()), (1, 3), "{bad:?}");
        assert_eq!(relays.in_use(), second.address().to_string());
    }
}

#[tokio::test]
async fn where_nobody_listens_the_next_is_asked() {
    let relay = good().await;
    let relays = relays_with(vec![nobody().await, nobody().await, relay.address()], settings());
    assert!(relays.pull(&pull_after(lsn(100))).await.is_ok());
    assert_eq!(relays.in_use(), relay.address().to_string());
}

#[tokio::test]
async fn the_preferred_relay_is_tried_again_after_a_while() {
    let first = FakeRelay::scripted(vec![Reply::html(502), slices_reply(300, 100, &[300])]).await;
    let second = good().await;
    let settings = FetchSettings { prefer_again: Duration::ZERO, ..settings() };
    let relays = relays_with(vec![first.address(), second.address()], settings);
    for _ in 0..3 {
        relays.pull(&pull_after(lsn(100))).await.unwrap();
    }
    assert_eq!((first.count(), second.count()), (3, 1));
    assert_eq!(relays.in_use(), first.address().to_string());
}

#[tokio::test]
async fn a_relay_that_asks_to_be_left_alone_is() {
    let first = FakeRelay::scripted(vec![
        Reply::problem_of(ProblemKind::Unavailable).with("Retry-After: 3600"),
    ])
    .await;
    let second =
        FakeRelay::scripted(vec![Reply::html(502), Reply::html(502), nothing_reply(100)]).await;
    let relays = relays_with(vec![first.address(), second.address()], settings());
    assert!(relays.pull(&pull_after(lsn(100))).await.is_ok());
    assert_eq!((first.count(), second.count()), (1, 3));

    // Where that takes longer than patience lasts, it is said at once.
    let relays = relays_with(vec![first.address()], settings());
    let error = relays.pull(&pull_after(lsn(100))).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert_eq!(first.count(), 2);
}

#[tokio::test]
async fn a_relay_is_left_alone_as_long_as_it_asks_for() {
    // As a proxy dates it, whatever the clock here says.
    let date = "Date: Wed, 21 Oct 2065 07:28:00 GMT";
    let dated = Reply::html(503).with(date).with("Retry-After: Wed, 21 Oct 2065 07:28:01 GMT");
    for busy in [Reply::html(429).with("Retry-After: 1"), dated] {
        let relay = FakeRelay::scripted(vec![busy, nothing_reply(100)]).await;
        let relays = relays_with(vec![relay.address()], settings());
        assert!(relays.pull(&pull_after(lsn(100))).await.is_ok());
        let seen = relay.seen();
        assert_eq!(seen.len(), 2);
        assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_terminal_ahead_of_every_relay_waits_without_an_error() {
    let (first, second) =
        (FakeRelay::scripted(vec![behind(50)]).await, FakeRelay::scripted(vec![behind(60)]).await);
    let relays = relays_with(vec![first.address(), second.address()], settings());
    let pulled = relays.pull(&pull_after(lsn(100))).await.unwrap();
    assert!(matches!(pulled, Pulled::Behind { head: Some(head) } if head == lsn(50)), "{pulled:?}");
    let relays = relays_with(vec![nobody().await, second.address()], settings());
    let pulled = relays.pull(&pull_after(lsn(100))).await.unwrap();
    assert!(matches!(pulled, Pulled::Behind { head: Some(head) } if head == lsn(60)), "{pulled:?}");
}

#[tokio::test]
async fn a_refusal_is_final_when_all_refuse() {
    let unknown = FakeRelay::scripted(vec![Reply::problem_of(ProblemKind::Unauthorized)]).await;
    let expired = FakeRelay::scripted(vec![Reply::problem_of(ProblemKind::Expired)]).await;
    let relays = relays_with(vec![unknown.address(), expired.address()], settings());
    let error = relays.pull(&pull_after(lsn(100))).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Unauthorized), "{error}");

    // While another is down, who knows what that one would say.
    let relays = relays_with(vec![nobody().await, expired.address()], impatient());
    let error = relays.pull(&pull_after(lsn(100))).await.unwrap_err();
    assert_eq!((error.refusal(), error.exit_code()), (None, 4), "{error}");
    let text = error.to_string();
    assert!(text.contains("refused") && text.contains(&expired.address().to_string()), "{text}");
}

#[tokio::test]
async fn a_refusal_is_not_final_while_another_relay_is_only_left_alone() {
    let busy = Reply::problem_of(ProblemKind::Unavailable).with("Retry-After: 3600");
    let first = FakeRelay::scripted(vec![busy]).await;
    let refusing = Reply::problem_of(ProblemKind::Unauthorized);
    let second = FakeRelay::scripted(vec![Reply::html(502), refusing]).await;
    let relays = relays_with(vec![first.address(), second.address()], impatient());
    for _ in 0..2 {
        let error = relays.pull(&pull_after(lsn(100))).await.unwrap_err();
        assert_eq!((error.refusal(), error.exit_code()), (None, 4), "{error}");
    }
    assert_eq!((first.count(), second.count()), (1, 2));
}

#[tokio::test]
async fn damage_found_outside_leads_to_the_next_relay() {
    let (first, second) = (good().await, good().await);
    let settings = FetchSettings { distrust: Duration::from_secs(3600), ..settings() };
    let relays = relays_with(vec![first.address(), second.address()], settings);
    relays.pull(&pull_after(lsn(100))).await.unwrap();
    relays.distrust();
    relays.pull(&pull_after(lsn(100))).await.unwrap();
    assert_eq!((first.count(), second.count()), (1, 1));
}

#[tokio::test]
async fn a_damaged_log_is_named_and_not_asked_for_again() {
    let problem = Problem::new(ProblemKind::Corrupt, "the log is damaged behind 0/64");
    let relay = FakeRelay::scripted(vec![Reply::problem(&problem)]).await;
    let relays = relays_with(vec![relay.address()], settings());
    let error = relays.pull(&pull_after(lsn(100))).await.unwrap_err();
    assert_eq!((error.exit_code(), relay.count()), (1, 1));
    assert!(error.to_string().contains("damaged behind 0/64"), "{error}");
}
