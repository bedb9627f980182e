//! The document is what it was, describes what there is, and its schemas are those of the types.

use reqwest::Method;
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use wire::{
    AppendAnswer, Behind, CaptureReport, CaptureState, ChannelMap, ChannelRule, Commit,
    CopyProgress, Divergence, Hash, Lineage, Lsn, Manifest, ManifestChannel, ManifestObject,
    ManifestRange, Problem, ProblemKind, Report, Request, RequestAnswer, RequestList,
    SessionAnswer, SessionRequest, SnapshotList, SnapshotObject, SnapshotTable, SourceList,
    Succession, TerminalName, TerminalReport, TerminalState, UploadAnswer,
};

use super::{
    build::{SCHEMAS, document},
    operations::OPERATIONS,
};
use crate::{
    feed::{channel, source},
    server::tests::relay::{Relay, empty_snapshot, facts, small},
};

#[test]
fn the_document() {
    insta::assert_snapshot!(document().unwrap().to_pretty_json().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_there() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    for operation in OPERATIONS {
        let path = operation.path.replace("{source}", "none").replace("{name}", "none");
        let method = match operation.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
            _ => Method::DELETE,
        };
        let answer = relay.ask(method, &path).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(!text.contains("there is nothing at"), "{path}: {text}");
        assert!(!text.contains("does not take this method"), "{path}: {text}");
        let known = operation.answers.iter().map(|(status, ..)| status).chain(operation.problems);
        assert!(
            known.into_iter().any(|known| *known == status.as_u16()),
            "{path}: {status}: {text}"
        );
    }
}

fn schemas() -> Value {
    serde_json::from_str(SCHEMAS).unwrap()
}

/// Whether the value is what the schema says, in both directions: no property is unknown, and
/// none that is required is missing.
fn check(schemas: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return check(schemas, &schemas[name], value, &format!("{at}:{name}"));
    }
    if let Some(any) = schema["oneOf"].as_array() {
        let found: Vec<_> = any.iter().map(|one| check(schemas, one, value, at)).collect();
        return match found.iter().filter(|one| one.is_ok()).count() {
            1 => Ok(()),
            count => Err(format!("{at}: {count} of {found:?}")),
        };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types = match &schema["type"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    if !types.iter().any(|one| one == kind) {
        return Err(format!("{at}: {kind} is none of {types:?}"));
    }
    match value {
        Value::String(text) => match schema["enum"].as_array() {
            Some(all) if !all.contains(value) => Err(format!("{at}: '{text}' is not listed")),
            _ => Ok(()),
        },
        Value::Array(items) => {
            items.iter().try_for_each(|item| check(schemas, &schema["items"], item, at))
        }
        Value::Object(fields) => check_fields(schemas, schema, fields, at),
        _ => Ok(()),
    }
}

fn check_fields(
    schemas: &Value,
    schema: &Value,
    fields: &serde_json::Map<String, Value>,
    at: &str,
) -> Result<(), String> {
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    let open = schema["properties"].is_null() && schema["additionalProperties"].is_null();
    for (name, field) in fields {
        let below = format!("{at}.{name}");
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Null) if open => {}
            (Value::Null, Value::Null) => return Err(format!("{below} is not described")),
            (Value::Null, any) => check(schemas, any, field, &below)?,
            (known, _) => check(schemas, known, field, &below)?,
        }
    }
    Ok(())
}

fn commit() -> Commit {
    Commit { start: Lsn::new(1), end: Lsn::new(2), xid: 3, time_us: 4, digest: Hash::of(b"") }
}

fn examples() -> Vec<(&'static str, Value)> {
    let lineage = Lineage::from_bytes([1; 16]);
    let map = ChannelMap {
        rules: vec![ChannelRule { channel: channel("a"), tables: vec!["a.*".into()] }],
        tables: [(7, channel("a"))].into(),
    };
    let object = || ManifestObject { name: Hash::of(b""), len: 1, url: "/x".into() };
    let range = ManifestRange {
        after: Lsn::new(1),
        through: Lsn::new(2),
        commit: Some(commit()),
        transactions: 1,
        changes: 1,
        channels: vec![ManifestChannel {
            channel: channel("a"),
            before: Hash::of(b""),
            after: Hash::of(b""),
            transactions: 1,
            changes: 1,
            raw_len: 1,
            object: object(),
            parts: vec![object()],
        }],
    };
    let mut snapshot = empty_snapshot(lineage, 1);
    snapshot.channel_map = map.clone();
    snapshot.hashes.set(channel("a"), Hash::of(b""));
    let rows =
        SnapshotObject { name: Hash::of(b""), len: 1, rows: 1, raw_len: 1, url: Some("/x".into()) };
    snapshot.tables = vec![SnapshotTable {
        oid: 1,
        schema: "s".into(),
        name: "t".into(),
        channel: channel("a"),
        columns: vec!["c".into()],
        rows: 1,
        raw_len: 1,
        objects: vec![SnapshotObject { url: None, ..rows.clone() }, rows],
    }];
    let session = SessionAnswer {
        session: 1,
        lineage: Some(lineage),
        head: Some(Lsn::new(1)),
        horizon: None,
        hashes: snapshot.hashes.clone(),
        channel_map: Some(map),
        known: Some(commit()),
        facts: None,
        snapshot: Some(snapshot.mark()),
        succeeds: vec![lineage],
    };
    let succession = Succession { lineage, why: "x".into() };
    let noted = RequestAnswer { head: Lsn::new(1), newest: None, capture: CaptureState::Streaming };
    let terminal = Report::Terminal(TerminalReport {
        terminal: TerminalName::new("t").unwrap(),
        lineage: Some(lineage),
        applied: None,
        state: TerminalState::Behind,
        error: None,
        transactions: 1,
        changes: 2,
        divergence: Some(Divergence::default()),
    });
    let capture = Report::Capture(CaptureReport {
        session: 1,
        state: CaptureState::WaitingForSlot,
        slot: "s".into(),
        master: Some(Lsn::new(1)),
        retained_bytes: None,
        safe_wal_bytes: Some(1),
        slot_time_left_seconds: None,
        copy: Some(CopyProgress {
            what: "first copy".into(),
            bytes_done: 1,
            bytes_total: 2,
            rows: 3,
            percent: 50,
            seconds_left: None,
        }),
        error: None,
    });
    let problem = Problem { head: Some(Lsn::new(1)), ..Problem::new(ProblemKind::BehindYou, "x") };
    let value = |value: &dyn erased::Json| value.json();
    vec![
        (
            "SessionRequest",
            value(&SessionRequest { facts: facts(), begin: true, succeed: Some(succession) }),
        ),
        ("SessionAnswer", value(&session)),
        ("AppendAnswer", value(&AppendAnswer { durable: Lsn::new(1) })),
        (
            "Behind",
            value(&Behind {
                lineage,
                head: Lsn::new(1),
                lag_bytes: 1,
                lag_seconds: 0.5,
                least_transactions: 1,
                most_transactions: None,
                fetch_bytes: 1,
            }),
        ),
        ("UploadAnswer", value(&UploadAnswer { name: Hash::of(b""), len: 1 })),
        ("Snapshot", value(&snapshot.clone())),
        (
            "SnapshotList",
            value(&SnapshotList { snapshots: vec![snapshot], succeeds: vec![lineage] }),
        ),
        ("Manifest", value(&Manifest { source: source(), lineage, ranges: vec![range] })),
        ("Report", value(&terminal)),
        ("Report", value(&capture)),
        ("Request", value(&Request::Snapshot)),
        ("RequestAnswer", value(&noted)),
        ("RequestList", value(&RequestList { requests: vec![Request::Snapshot] })),
        ("SourceList", value(&SourceList { sources: vec![source()] })),
        ("Problem", value(&problem)),
    ]
}

mod erased {
    /// Anything that can be written as JSON.
    pub(super) trait Json {
        fn json(&self) -> serde_json::Value;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> serde_json::Value {
            serde_json::to_value(self).unwrap()
        }
    }
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let schemas = schemas();
    for (name, value) in examples() {
        check(&schemas, &schemas[name], &value, name).unwrap();
    }
    let problem = json!({"type": "urn:tailwater:problem:other", "status": 400, "detail": ""});
    assert!(check(&schemas, &schemas["Problem"], &problem, "").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_is_as_described() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    relay.begin().await;
    let report = json!({"from": "terminal", "terminal": "t", "lineage": null, "applied": null, "state": "loading"});
    relay.ask(Method::POST, "/v1/orders/report").json(&report).send().await.unwrap();
    let lag: Value = relay.get("/v1/orders/lag").await.json().await.unwrap();
    assert_eq!(lag["terminals"].as_array().unwrap().len(), 1);
    let schemas = schemas();
    check(&schemas, &schemas["Lag"], &lag, "Lag").unwrap();
}
