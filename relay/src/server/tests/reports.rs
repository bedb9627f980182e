//! What terminals and capture say of themselves, and what the lag table makes of it.

use reqwest::Method;
use serde_json::json;
use wire::{CaptureState, Lsn, ProblemKind, TerminalState, headers};

use super::relay::{Relay, ok, problem, small};

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_shown_and_kept() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    relay.append(session, &feed.one(&[("a", b"1")])).await;
    relay.append(session, &feed.one(&[("a", b"2")])).await;

    let pull = relay
        .ask(Method::GET, "/v1/orders/log?after=0/44C")
        .header(headers::TERMINAL, "store-1")
        .header(headers::LINEAGE, feed.lineage.to_string())
        .header(headers::APPLIED, "0/44C")
        .header(headers::STATE, "error")
        .header(headers::ERROR, "kein%20Platz%3A%20%C3%A4");
    ok(pull.send().await.unwrap()).await;
    let report = json!({
        "from": "terminal", "terminal": "store-2", "lineage": feed.lineage,
        "applied": "0/4B0", "state": "ok"
    });
    ok(relay.ask(Method::POST, "/v1/orders/report").json(&report).send().await.unwrap()).await;
    let report = json!({
        "from": "capture", "session": session, "state": "streaming", "slot": "s1",
        "master": "0/500", "retained_bytes": 77, "error": null
    });
    ok(relay.ask(Method::POST, "/v1/orders/report").json(&report).send().await.unwrap()).await;

    let check = |lag: wire::Lag| {
        assert_eq!(
            (lag.relay.head, lag.relay.horizon),
            (Some(Lsn::new(1200)), Some(Lsn::new(1000)))
        );
        assert_eq!(lag.lineage, feed.lineage);
        assert_eq!((lag.master.lsn, lag.relay.lag_bytes), (Some(Lsn::new(0x500)), 80));
        assert_eq!(lag.capture.state, CaptureState::Streaming);
        assert_eq!((lag.capture.slot.as_deref(), lag.capture.retained_bytes), (Some("s1"), 77));
        let [one, two] = &lag.terminals[..] else { panic!("{:?}", lag.terminals) };
        assert_eq!(
            (one.name.as_str(), one.applied, one.lag_bytes),
            ("store-1", Some(Lsn::new(1100)), 100)
        );
        assert_eq!(
            (one.state, one.error.as_deref()),
            (TerminalState::Error, Some("kein Platz: ä"))
        );
        assert!(one.lag_seconds > 1e6, "the commit that it lacks is of 2023: {}", one.lag_seconds);
        assert_eq!((two.state, two.lag_bytes, two.lag_seconds), (TerminalState::Ok, 0, 0.0));
        assert!(lag.relay.log_bytes > 0);
    };
    check(relay.lag().await);
    relay.stop().await;
    let relay = Relay::start(data.path(), small()).await;
    check(relay.lag().await);

    let forget = |name: &str| {
        let request = relay.ask(Method::DELETE, &format!("/v1/orders/terminals/{name}"));
        async move { request.send().await.unwrap() }
    };
    ok(forget("store-1").await).await;
    problem(forget("store-1").await, ProblemKind::NotFound).await;
    relay.stop().await;
    let relay = Relay::start(data.path(), small()).await;
    let names: Vec<String> =
        relay.lag().await.terminals.iter().map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["store-2"]);
    let sources: wire::SourceList = relay.get("/v1/sources").await.json().await.unwrap();
    assert_eq!(sources.sources, [crate::feed::source()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_capture_does_not_speak_for_the_source() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (old, _) = relay.begin().await;
    let (new, _) = relay.resume().await;
    let report = |session: u64, state: &str| {
        let report = json!({
            "from": "capture", "session": session, "state": state, "slot": "s",
            "master": null, "retained_bytes": null, "error": null
        });
        let request = relay.ask(Method::POST, "/v1/orders/report").json(&report);
        async move { request.send().await.unwrap() }
    };
    ok(report(new, "streaming").await).await;
    problem(report(old, "error").await, ProblemKind::Fenced).await;
    assert_eq!(relay.lag().await.capture.state, CaptureState::Streaming);
    problem(
        relay.ask(Method::POST, "/v1/orders/report").body("{").send().await.unwrap(),
        ProblemKind::BadRequest,
    )
    .await;
    assert_eq!(relay.get("/v1/orders/requests?wait=0.1").await.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slots_room_is_a_metric_and_older_captures_need_not_tell_it() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, _) = relay.begin().await;
    let metrics = async || relay.get("/metrics").await.text().await.unwrap();
    let report = async |more: serde_json::Value| {
        let mut report = json!({
            "from": "capture", "session": session, "state": "streaming", "slot": "s",
            "master": "0/500", "retained_bytes": 77, "error": "the slot is in danger"
        });
        report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ok(relay.ask(Method::POST, "/v1/orders/report").json(&report).send().await.unwrap()).await;
    };
    report(json!({"safe_wal_bytes": 1234, "slot_time_left_seconds": 60})).await;
    let said = metrics().await;
    for line in [
        "tailwater_relay_slot_retained_bytes{source=\"orders\"} 77",
        "tailwater_relay_slot_safe_wal_bytes{source=\"orders\"} 1234",
        "tailwater_relay_slot_time_left_seconds{source=\"orders\"} 60",
    ] {
        assert!(said.lines().any(|found| found == line), "{line}: {said}");
    }
    let lag = relay.lag().await.capture;
    assert_eq!(lag.state, CaptureState::Streaming);
    assert_eq!(lag.error.as_deref(), Some("the slot is in danger"));
    report(json!({})).await;
    let said = metrics().await;
    let line = "tailwater_relay_slot_safe_wal_bytes{source=\"orders\"} NaN";
    assert!(said.lines().any(|found| found == line), "{said}");
}
