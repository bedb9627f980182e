use wire::{
    CaptureState, Report, RequestAnswer, SourceList, TerminalName, TerminalReport, TerminalState,
};

use super::{
    fake::{FakeRelay, Reply, nobody},
    samples::{impatient, lineage, lsn, relays_with, settings, snapshot, source},
};
use crate::fetch::FetchError;

fn report() -> TerminalReport {
    TerminalReport {
        terminal: TerminalName::new("store-042").unwrap(),
        lineage: Some(lineage()),
        applied: Some(lsn(300)),
        state: TerminalState::Ok,
        error: None,
        transactions: 3,
        changes: 12,
        divergence: Some(wire::Divergence { row_missing: 1, row_present: 2, quarantined: 3 }),
    }
}

#[tokio::test]
async fn a_report_goes_to_a_relay_that_takes_it() {
    let portal = FakeRelay::scripted(vec![Reply::html(200)]).await;
    let relay = FakeRelay::scripted(vec![Reply::new(204, &[], b"")]).await;
    let relays = relays_with(vec![portal.address(), relay.address()], settings());
    relays.report(&report()).await.unwrap();
    let seen = &relay.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/orders/report"));
    let told: Report = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(told, Report::Terminal(report()));

    // It is not waited for.
    let relays = relays_with(vec![nobody().await], settings());
    assert_eq!(relays.report(&report()).await.unwrap_err().exit_code(), 4);
}

#[tokio::test]
async fn a_snapshot_is_asked_for_from_a_position_on() {
    let answer =
        RequestAnswer { head: lsn(400), newest: Some(lsn(300)), capture: CaptureState::Streaming };
    let relay = FakeRelay::scripted(vec![Reply::json(&answer)]).await;
    let relays = relays_with(vec![relay.address()], settings());
    assert_eq!(relays.want_snapshot(lsn(300)).await.unwrap(), answer);
    let seen = &relay.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/orders/requests"));
    assert_eq!(
        (seen.query.as_str(), seen.body.as_slice()),
        ("from=0%2F12C", &br#"{"kind":"snapshot"}"#[..])
    );
}

#[tokio::test]
async fn sources_and_snapshots() {
    let listed = snapshot(100, &[vec![b"a".to_vec()]], "s");
    let body = wire::SnapshotList { snapshots: vec![listed.clone()], succeeds: Vec::new() };
    let relay = FakeRelay::start(move |request, _| match request.path.as_str() {
        "/v1/sources" => Reply::json(&SourceList { sources: vec![source()] }),
        "/v1/orders/snapshot" => Reply::json(&body),
        _ => Reply::html(404),
    })
    .await;
    let relays = relays_with(vec![relay.address()], settings());
    assert_eq!(relays.sources().await.unwrap(), [source()]);
    let channels = [wire::ChannelName::control(), wire::ChannelName::default_channel()];
    let offer = relays.snapshots(&channels).await.unwrap();
    assert_eq!(offer.snapshots, [listed]);
    assert_eq!(offer.channels.to_string(), "control,default");
    assert_eq!(relay.seen()[1].query, "channels=control%2Cdefault");
    assert!(relays.lag().await.is_err());
}

#[tokio::test]
async fn snapshots_of_all_that_the_token_allows_say_what_that_is() {
    let listed = snapshot(100, &[vec![b"a".to_vec()]], "s");
    let reply = Reply::json(&wire::SnapshotList { snapshots: vec![listed], succeeds: Vec::new() });
    let replies = vec![reply.clone().with("Tailwater-Channels: control,sales"), reply];
    let relay = FakeRelay::scripted(replies).await;
    let relays = relays_with(vec![relay.address()], impatient());
    let offer = relays.snapshots(&[]).await.unwrap();
    assert_eq!(offer.channels.shown(), "the channel 'sales'");
    let error = relays.snapshots(&[]).await.unwrap_err().to_string();
    assert!(error.contains("the header tailwater-channels is missing"), "{error}");
}

#[tokio::test]
async fn a_snapshot_without_urls_is_none() {
    let mut listed = snapshot(100, &[vec![b"a".to_vec()]], "s");
    listed.tables[0].objects[0].url = None;
    let body = wire::SnapshotList { snapshots: vec![listed], succeeds: Vec::new() };
    let relay = FakeRelay::scripted(vec![Reply::json(&body)]).await;
    let error = relays_with(vec![relay.address()], impatient()).snapshots(&[]).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }));
    assert!(error.to_string().contains("table public.t0"), "{error}");
}

#[tokio::test]
async fn the_head_of_a_log_that_has_not_begun() {
    let lag = |head: &str| {
        format!(
            r#"{{"source":"orders","lineage":"{}","master":{{"lsn":null,"seen_at":null}},
            "relay":{{"head":{head},"horizon":null,"lag_bytes":0,"lag_seconds":0.0,"log_bytes":0}},
            "capture":{{"state":"copying","slot":null,"retained_bytes":0,"last_contact":null,"error":null}},
            "terminals":[]}}"#,
            lineage()
        )
    };
    let reply =
        |head| Reply::new(200, &[("Content-Type", "application/json")], lag(head).as_bytes());
    let relay = FakeRelay::scripted(vec![reply("null"), reply("\"0/12C\"")]).await;
    let relays = relays_with(vec![relay.address()], settings());
    assert_eq!(relays.head().await.unwrap(), None);
    assert_eq!(relays.head().await.unwrap(), Some(lsn(300)));
}
