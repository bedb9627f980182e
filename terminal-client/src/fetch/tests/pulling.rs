use std::time::Duration;

use wire::{
    ChannelHashes, ChannelName, Hash, MANIFEST_TYPE, Problem, ProblemKind, SLICES_TYPE,
    TerminalName, TerminalState,
};

use super::{
    fake::{FakeRelay, Reply},
    samples::{
        impatient, lineage, lsn, manifest, manifest_reply, nothing_reply, object_bytes, pull_after,
        pull_reply, range, relays_with, row, settings, slices, slices_reply, source, standing,
    },
};
use crate::fetch::{
    FetchError, FetchSettings, PullReport, PullRequest, Pulled, Refusal, Relays, Token,
};

fn ends(pulled: &Pulled) -> Vec<u64> {
    match pulled {
        Pulled::Slices { slices, .. } => {
            slices.iter().map(|slice| slice.header().through.get()).collect()
        }
        other => panic!("slices were expected, not {other:?}"),
    }
}

#[tokio::test]
async fn a_pull_says_what_it_wants_and_who_it_is() {
    let relay = FakeRelay::scripted(vec![slices_reply(9000, 90, &[200, 300])]).await;
    let token = Token::new("s3cret", "here").unwrap();
    let relays = Relays::new(vec![relay.address()], &source(), Some(&token), settings()).unwrap();
    let sales = ChannelName::new("sales").unwrap();
    let hash = Hash::of(b"x");
    let request = PullRequest {
        hashes: Some(ChannelHashes::from_iter([(sales.clone(), hash)])),
        channels: vec![ChannelName::default_channel(), sales],
        loaded: None,
        limit_bytes: 5_000_000,
        wait: Duration::from_millis(7_900),
        report: PullReport {
            terminal: Some(TerminalName::new("store-042").unwrap()),
            applied: Some(lsn(80)),
            state: Some(TerminalState::Behind),
            error: Some("größer, 5%".into()),
        },
        ..pull_after(lsn(100))
    };
    let pulled = relays.pull(&request).await.unwrap();
    assert_eq!(ends(&pulled), [200, 300]);
    let Pulled::Slices { standing, .. } = pulled else { panic!() };
    assert_eq!((standing.head, standing.through), (lsn(9000), lsn(300)));
    assert_eq!(standing.lineage, lineage());

    let seen = &relay.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/v1/orders/log"));
    assert_eq!(seen.query, "after=0%2F64&limit=5000000&wait=7&channels=default%2Csales");
    for (name, value) in [
        ("authorization", "Bearer s3cret"),
        ("accept-encoding", "identity"),
        ("tailwater-terminal", "store-042"),
        ("tailwater-lineage", &lineage().to_string()),
        ("tailwater-applied", "0/50"),
        ("tailwater-state", "behind"),
        ("tailwater-error", "gr%C3%B6%C3%9Fer%2C%205%25"),
        ("tailwater-hashes", &format!("sales={hash}")),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}

/// Answers that must not get through, each by its name.
fn broken_answers() -> Vec<(&'static str, Reply)> {
    let good = || slices_reply(300, 100, &[200, 300]);
    let body = row(&slices(lsn(100), &[200, 300]));
    let answer =
        |headers: &[(&str, String)], body: &[u8]| pull_reply(200, SLICES_TYPE, headers, body);
    let whole = standing(300, 300);
    let changed = |number: usize, value: &str| {
        let mut headers = standing(300, 300);
        headers[number].1 = value.to_owned();
        pull_reply(200, SLICES_TYPE, &headers, &row(&slices(lsn(100), &[200, 300])))
    };
    let missing = |number: usize| {
        let mut headers = standing(300, 300);
        headers.remove(number);
        pull_reply(200, SLICES_TYPE, &headers, &row(&slices(lsn(100), &[200, 300])))
    };
    let mut flipped = body.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let gap = [row(&slices(lsn(100), &[150])), row(&slices(lsn(200), &[300]))].concat();
    let chunked = [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n".to_vec(),
        format!("Content-Type: {SLICES_TYPE}\r\n").into_bytes(),
        whole.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>().into(),
        b"\r\n10\r\n0123456789abcdef\r\n".to_vec(),
    ]
    .concat();
    // Without a length the body ends with the connection.
    let endless = [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n".to_vec(),
        format!("Content-Type: {SLICES_TYPE}\r\n").into_bytes(),
        whole.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>().into(),
        b"\r\n".to_vec(),
        body.clone(),
        vec![0; 3 << 20],
    ]
    .concat();
    let mut foreign = standing(100, 100);
    foreign[0].1 = "00000000000000000000000000000000".to_owned();
    let object = object_bytes("a", 10);
    let torn =
        manifest(vec![range(100, 150, &object, &[], "s"), range(200, 300, &object, &[], "s")]);
    vec![
        ("cut in the middle of the body", good().without_last(40)),
        ("cut in the headers", Reply::raw(&good().bytes[..30])),
        ("closed without an answer", Reply::raw("")),
        ("not HTTP", Reply::raw("SSH-2.0-OpenSSH_9.2\r\n")),
        ("a login page", Reply::html(200)),
        ("a gateway's page", Reply::html(502)),
        ("a redirect", Reply::html(302).with("Location: http://portal.example/login?for=x")),
        ("overloaded", Reply::problem_of(ProblemKind::Unavailable).with("Retry-After: 0")),
        ("an internal error", Reply::problem_of(ProblemKind::Internal)),
        ("too many requests, says a proxy", Reply::html(429)),
        ("another content type", pull_reply(200, "application/octet-stream", &whole, &body)),
        ("no content type", pull_reply(200, "", &whole, &body)),
        ("a partial answer", pull_reply(206, SLICES_TYPE, &whole, &body)),
        ("no lineage", missing(0)),
        ("no head", missing(1)),
        ("no through", missing(2)),
        ("a lineage that is none", changed(0, "abc")),
        ("another lineage", changed(0, "00000000000000000000000000000000")),
        ("a head that is no position", changed(1, "12")),
        ("a head before through", changed(1, "0/1")),
        ("through before the slices' end", changed(2, "0/C8")),
        ("encoded, though nobody asked", good().with("Content-Encoding: gzip")),
        (
            "a length larger than any answer",
            Reply::new(
                200,
                &[
                    ("Content-Type", SLICES_TYPE),
                    ("Tailwater-Lineage", &lineage().to_string()),
                    ("Tailwater-Head", "0/12C"),
                    ("Tailwater-Through", "0/12C"),
                    ("Content-Length", "1099511627776"),
                ],
                &body,
            ),
        ),
        (
            "an error of a terabyte",
            Reply::new(503, &[("Content-Length", "1099511627776")], b"Service Unavailable"),
        ),
        ("longer than the limit and the slack", answer(&whole, &vec![0; 3 << 20])),
        ("longer than any answer, as the end shows", Reply::raw(endless)),
        ("a length too short by some bytes", answer(&whole, &body[..body.len() - 9])),
        ("a length too short by a slice", answer(&whole, &row(&slices(lsn(100), &[200])))),
        ("a chunked body that is cut", Reply::raw(chunked)),
        ("empty", answer(&whole, b"")),
        ("a byte changed", answer(&whole, &flipped)),
        ("a gap between", answer(&whole, &gap)),
        ("a gap before", answer(&whole, &row(&slices(lsn(150), &[300])))),
        ("no progress", answer(&standing(300, 100), &row(&slices(lsn(50), &[100])))),
        ("nothing, but leading somewhere", pull_reply(204, "", &whole, b"")),
        ("nothing, of another lineage", pull_reply(204, "", &foreign, b"")),
        ("nothing, without headers", Reply::new(204, &[], b"")),
        ("a manifest that is no JSON", pull_reply(200, MANIFEST_TYPE, &whole, b"{")),
        ("a manifest with a gap", manifest_reply(300, &torn)),
        (
            "an empty manifest",
            pull_reply(200, MANIFEST_TYPE, &whole, &serde_json::to_vec(&manifest(vec![])).unwrap()),
        ),
    ]
}

#[tokio::test]
async fn what_is_not_as_agreed_is_asked_for_again_and_never_handed_out() {
    for (name, broken) in broken_answers() {
        let relay =
            FakeRelay::scripted(vec![broken.clone(), slices_reply(300, 100, &[200, 300])]).await;
        let settings = FetchSettings { slack_bytes: 1 << 20, ..settings() };
        let relays = relays_with(vec![relay.address()], settings);
        let pulled = relays.pull(&pull_after(lsn(100))).await;
        let pulled = pulled.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(ends(&pulled), [200, 300], "{name}");
        assert_eq!(relay.count(), 2, "{name}");
    }
}

#[tokio::test]
async fn what_is_given_up_names_the_relay_and_what_happened() {
    for (name, broken) in broken_answers() {
        let relay = FakeRelay::scripted(vec![broken]).await;
        let settings = FetchSettings { slack_bytes: 1 << 20, ..impatient() };
        let relays = relays_with(vec![relay.address()], settings);
        let error = relays.pull(&pull_after(lsn(100))).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit_code(), 4, "{name}: {text}");
        assert!(matches!(error, FetchError::Unreachable { .. }), "{name}: {text}");
        assert!(text.contains(&relay.address().to_string()), "{name}: {text}");
        if name.starts_with("longer than") {
            assert!(text.contains("its body is longer than 2097152 bytes"), "{text}");
        }
        assert!(text.len() > 60 && !text.contains("sig="), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_page_that_says_not_found_is_not_asked_for_again() {
    let relay = FakeRelay::scripted(vec![Reply::html(404)]).await;
    let relays = relays_with(vec![relay.address()], settings());
    let error = relays.pull(&pull_after(lsn(100))).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("answered 404, text/html") && text.contains("hotel's network"), "{text}");
    assert_eq!((error.exit_code(), relay.count()), (4, 1));
}

#[tokio::test]
async fn an_answer_that_stands_still_is_given_up_and_asked_for_again() {
    let good = slices_reply(300, 100, &[300]);
    for stalled in [Reply::raw("").stalling(), good.clone().without_last(40).stalling()] {
        let relay = FakeRelay::scripted(vec![stalled, good.clone()]).await;
        let short = Duration::from_millis(150);
        let settings = FetchSettings { stall_timeout: short, answer_timeout: short, ..settings() };
        let relays = relays_with(vec![relay.address()], settings);
        assert_eq!(ends(&relays.pull(&pull_after(lsn(100))).await.unwrap()), [300]);
        assert!(relay.count() >= 2);
    }
}

#[tokio::test]
async fn nothing_new_and_closed_ranges() {
    let listed = manifest(vec![
        range(90, 150, &object_bytes("a", 10), &[], "s"),
        range(150, 300, &object_bytes("b", 10), &[], "s"),
    ]);
    let relay = FakeRelay::scripted(vec![nothing_reply(100), manifest_reply(900, &listed)]).await;
    let relays = relays_with(vec![relay.address()], settings());
    let pulled = relays.pull(&pull_after(lsn(100))).await.unwrap();
    assert!(
        matches!(pulled, Pulled::Nothing { standing } if standing.head == lsn(100)),
        "{pulled:?}"
    );
    match relays.pull(&pull_after(lsn(100))).await.unwrap() {
        Pulled::Manifest { manifest, relay: 0, standing } => {
            assert_eq!(manifest, listed);
            assert_eq!((standing.head, standing.through), (lsn(900), lsn(300)));
        }
        other => panic!("{other:?}"),
    }
}

/// Another relay's token may be the right one.
#[tokio::test]
async fn a_token_for_other_channels_than_the_target_has_is_refused() {
    let allowing = async |channels: &str| {
        let mut headers = standing(100, 100);
        headers.retain(|(name, _)| *name != "Tailwater-Channels");
        headers.push(("Tailwater-Channels", channels.to_owned()));
        FakeRelay::scripted(vec![pull_reply(204, "", &headers, b"")]).await
    };
    let narrow = allowing("control,sales").await;
    for (loaded, code, advice) in [("*", 3, "the token that it was loaded with"), ("sales", 0, "")]
    {
        let request = PullRequest { loaded: Some(loaded.parse().unwrap()), ..pull_after(lsn(100)) };
        let pulled = relays_with(vec![narrow.address()], settings()).pull(&request).await;
        let (found, text) = match &pulled {
            Ok(_) => (0, String::new()),
            Err(error) => (error.exit_code(), error.to_string()),
        };
        assert!(found == code && text.contains(advice), "{loaded}: {found}: {text}");
    }
    let wide = allowing("*").await;
    let request = PullRequest { loaded: Some("sales".parse().unwrap()), ..pull_after(lsn(100)) };
    let error = relays_with(vec![wide.address()], settings()).pull(&request).await.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.to_string().contains("--channels sales"), "{error}");
    let both = relays_with(vec![narrow.address(), wide.address()], settings());
    let request = PullRequest { loaded: Some("*".parse().unwrap()), ..pull_after(lsn(100)) };
    assert!(matches!(both.pull(&request).await, Ok(Pulled::Nothing { .. })));
}

#[tokio::test]
async fn a_refusal_is_final_and_says_what_to_do() {
    let snapshot = Some(lsn(0x500));
    for (kind, refusal, advice) in [
        (ProblemKind::Unauthorized, Refusal::Unauthorized, "TAILWATER_TOKEN"),
        (ProblemKind::Forbidden, Refusal::Forbidden, "--role terminal"),
        (ProblemKind::UnknownSource, Refusal::UnknownSource, "--source-name"),
        (ProblemKind::OtherLineage, Refusal::OtherLineage, "new target"),
        (ProblemKind::OtherHistory, Refusal::OtherHistory, "new target"),
        (ProblemKind::Expired, Refusal::Expired { snapshot }, "snapshot at 0/500"),
        (ProblemKind::BadRequest, Refusal::Other(ProblemKind::BadRequest), "relay's log"),
    ] {
        let problem = Problem { lsn: snapshot, ..Problem::new(kind, "the relay's own words.") };
        let relay = FakeRelay::scripted(vec![Reply::problem(&problem)]).await;
        let relays = relays_with(vec![relay.address()], settings());
        let error = relays.pull(&pull_after(lsn(100))).await.unwrap_err();
        let text = error.to_string();
        assert_eq!((error.exit_code(), error.refusal()), (3, Some(refusal)), "{text}");
        for part in [&relay.address().to_string(), "the relay's own words. ", advice] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert_eq!(relay.count(), 1);
    }
}
