//! `status` and `terminal`, against a relay that answers what the test wants.

use std::{fs, net::TcpListener};

use super::{
    fake::{Answer, Fake},
    program::{finish, relay, run},
};

const LAG: &str = r#"{"source":"orders","lineage":"000102030405060708090a0b0c0d0e0f",
 "master":{"lsn":"0/1A2B3C4","seen_at":"2026-01-02T03:04:05Z"},
 "relay":{"head":"0/1A2B3C4","horizon":"0/10","lag_bytes":0,"lag_seconds":0.0,"log_bytes":4096},
 "capture":{"state":"streaming","slot":"s","retained_bytes":0,"last_contact":"2026-01-02T03:04:05Z","error":null},
 "terminals":[
  {"name":"fine","applied":"0/1A2B3C4","lag_bytes":0,"lag_seconds":0.0,"last_seen":"2026-01-02T03:04:05Z","state":"ok","error":null,
   "divergence":{"row_missing":0,"row_present":0,"quarantined":0}},
  {"name":"stuck","applied":"0/1A2B3C0","lag_bytes":4,"lag_seconds":90.0,"last_seen":"2026-01-02T03:04:05Z","state":"error","error":"duplicate key",
   "divergence":{"row_missing":1,"row_present":2,"quarantined":3}}]}"#;

fn json(text: &str) -> Answer {
    (200, "application/json", text.to_owned())
}

fn problem(kind: &str, status: u16) -> Answer {
    let text = format!(
        r#"{{"type":"urn:tailwater:problem:{kind}","status":{status},"detail":"because of {kind}"}}"#
    );
    (status, "application/problem+json", text)
}

fn usual(request: &str) -> Answer {
    match request.split_whitespace().nth(1) {
        Some("/v1/sources") => json(r#"{"sources":["orders"]}"#),
        Some("/v1/orders/lag") => json(LAG),
        _ => problem("not-found", 404),
    }
}

#[test]
fn status_shows_the_worst_first() {
    let fake = Fake::start(usual);
    let said = run(&["status", "--relay", &fake.url]);
    assert_eq!(said.code, 0, "{said:?}");
    let at = |text: &str| said.out.find(text).unwrap_or_else(|| panic!("{text}: {}", said.out));
    assert!(at("orders   lineage") < at("master") && at("master") < at("capture"));
    assert!(at("stuck") < at("fine"));
    assert!(said.out.contains("duplicate key"));
}

#[test]
fn status_as_json_is_the_relays_own() {
    let fake = Fake::start(usual);
    let said = run(&["status", "--json", "--source-name", "orders", "--relay", &fake.url]);
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let lag: serde_json::Value = serde_json::from_str(LAG).unwrap();
    assert_eq!(told, serde_json::Value::Array(vec![lag]));
    assert_eq!(fake.heads.lock().unwrap().len(), 1, "the list of sources is not needed");
}

#[test]
fn the_token_comes_from_a_file_or_the_environment() {
    let fake = Fake::start(usual);
    let mut command = relay(&["status", "--relay", &fake.url]);
    command.env("TAILWATER_TOKEN", "tw_env");
    assert_eq!(finish(command).code, 0);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "tw_file\n").unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(run(&["status", "--relay", &fake.url, "--token-file", path]).code, 0);
    let heads = fake.heads.lock().unwrap();
    assert!(heads[0].contains("authorization: bearer tw_env\r\n"), "{}", heads[0]);
    assert!(heads[3].contains("authorization: bearer tw_file\r\n"), "{}", heads[3]);

    fs::write(file.path(), "two words").unwrap();
    let said = run(&["status", "--relay", &fake.url, "--token-file", path]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains(path), "{}", said.err);
}

#[test]
fn refusals_are_3_and_say_why() {
    for kind in [("unauthorized", 401), ("forbidden", 403), ("unknown-source", 404)] {
        let fake = Fake::start(move |_| problem(kind.0, kind.1));
        let said = run(&["status", "--relay", &fake.url]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.err.contains(&format!("because of {}", kind.0)), "{}", said.err);
        assert!(said.err.contains(&fake.url), "{}", said.err);
    }
}

#[test]
fn not_reachable_or_not_ready_is_4() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = run(&["status", "--relay", &format!("http://{port}")]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains("cannot be reached"), "{}", said.err);
    assert!(said.err.contains("refused"), "the cause: {}", said.err);
    let said = run(&["status", "--relay", "http://relay.invalid:7070"]);
    assert_eq!(said.code, 4, "{said:?}");
    let fake = Fake::start(|_| problem("unavailable", 503));
    assert_eq!(run(&["status", "--relay", &fake.url]).code, 4);
    let fake = Fake::start(|_| (502, "text/html", "<h1>Bad Gateway</h1>".to_owned()));
    assert_eq!(run(&["status", "--relay", &fake.url]).code, 4);
    // Accepts, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let said = run(&["status", "--relay", &url, "--timeout", "200ms"]);
    assert_eq!(said.code, 4, "{said:?}");
}

#[test]
fn what_is_no_relay_is_1_and_named() {
    let fake = Fake::start(|_| (200, "text/html", "<h1>Welcome</h1>".to_owned()));
    let said = run(&["status", "--relay", &fake.url]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("cannot be read"), "{}", said.err);
    let fake = Fake::start(|_| (404, "text/html", "<h1>Not found</h1>".to_owned()));
    let said = run(&["status", "--relay", &fake.url]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("is this the address of a relay"), "{}", said.err);
}

#[test]
fn terminals_are_listed_and_forgotten() {
    let fake = Fake::start(|request| {
        if request.starts_with("DELETE /v1/orders/terminals/stuck ") {
            (204, "", String::new())
        } else {
            usual(request)
        }
    });
    let said = run(&["terminal", "list", "--relay", &fake.url]);
    let names: Vec<_> =
        said.out.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(names, ["TERMINAL", "stuck", "fine"]);
    let said = run(&["terminal", "forget", "stuck", "--relay", &fake.url]);
    assert_eq!((said.code, said.out.as_str()), (0, "orders: forgot stuck\n"));
    let said = run(&["terminal", "forget", "nobody", "--relay", &fake.url]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("knows a terminal 'nobody'"), "{}", said.err);
    let said =
        run(&["terminal", "forget", "nobody", "--source-name", "orders", "--relay", &fake.url]);
    assert_eq!(said.code, 3, "{said:?}");
}

#[test]
fn a_relay_without_sources_says_what_to_do() {
    let fake = Fake::start(|_| json(r#"{"sources":[]}"#));
    let said = run(&["status", "--relay", &fake.url]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("no source yet"), "{}", said.out);
    assert_eq!(run(&["status", "--json", "--relay", &fake.url]).out, "[]\n");
}
