//! The relay's log begins behind the terminal's position: the newest snapshot is loaded over what is
//! there, if it leads on and is of the same history.

use std::{path::Path, sync::Arc};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use wire::{
    ChunkWriter, ColumnDefinition, Lineage, ObjectHeader, ObjectKind, ObjectWriter, ProblemKind,
    Snapshot, SnapshotList, TableDefinition,
};

use super::super::{
    error::PullError,
    session::{End, Goal, Session},
    settings::{Bounds, Policy, Settings},
};
use crate::{
    fetch::tests::{
        fake::{FakeRelay, Reply, Request},
        samples::{channel, impatient, lineage, lsn, nothing_reply, relays_with, snapshot, source},
    },
    progress::Progress,
    sqlite::{SqliteFile, SqliteTarget},
    target::Target,
};

pub(super) fn definition() -> TableDefinition {
    let column = ColumnDefinition {
        number: 1,
        name: "a".into(),
        type_sql: "text".into(),
        base_type: "text".into(),
        base_modifier: -1,
        not_null: true,
        default: None,
        generated: None,
        identity: None,
        collation: None,
        missing: None,
    };
    TableDefinition {
        oid: 0,
        schema: "public".into(),
        name: "t0".into(),
        replica_identity: 'd',
        columns: vec![column],
        primary_key: vec!["a".into()],
        identity_columns: vec!["a".into()],
        constraints: Vec::new(),
        indexes: Vec::new(),
        partition_by: None,
        partition_of: None,
    }
}

/// One row in one object of one table, as of a position of a history.
fn snapshot_of(lineage: Lineage, at: u64, row: &str) -> (Snapshot, Vec<u8>) {
    let mut chunks = ChunkWriter::new(1).unwrap();
    chunks.stream(format!("{row}\n").as_bytes()).unwrap();
    let (payload, raw_len) = chunks.finish().unwrap();
    let header = ObjectHeader {
        source: source(),
        lineage,
        channel: channel(),
        route: String::new(),
        raw_len,
        kind: ObjectKind::Snapshot { lsn: lsn(at), table: 0, part: 0, rows: 1 },
    };
    let (bytes, _) = ObjectWriter::assemble(&header, &payload).unwrap();
    let mut snapshot = snapshot(at, &[vec![bytes.to_vec()]], "1");
    snapshot.lineage = lineage;
    snapshot.definitions.tables.push(definition());
    snapshot.tables[0].raw_len = raw_len;
    snapshot.tables[0].objects[0].raw_len = raw_len;
    (snapshot, bytes.to_vec())
}

/// A relay with that snapshot; `log` answers pulls.
async fn relay(
    (snapshot, object): (Snapshot, Vec<u8>),
    log: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> FakeRelay {
    FakeRelay::start(move |request, _| match request.path.rsplit('/').next() {
        Some("log") => log(request),
        Some("snapshot") => {
            let list = SnapshotList { snapshots: vec![snapshot.clone()], succeeds: Vec::new() };
            Reply::json(&list).with("Tailwater-Channels: *")
        }
        Some("report") => Reply::new(204, &[], b""),
        Some("lag") => Reply::json(&json!({
            "source": "orders", "lineage": lineage(), "master": {"lsn": null, "seen_at": null},
            "relay": {"head": snapshot.lsn, "horizon": snapshot.lsn, "lag_bytes": 0, "lag_seconds": 0.0, "log_bytes": 0},
            "capture": {"state": "streaming", "slot": null, "retained_bytes": 0, "last_contact": null, "error": null},
            "terminals": []})),
        _ => Reply::new(200, &[], &object),
    })
    .await
}

/// A log that begins (and ends) here.
fn log_from(horizon: u64) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    move |request| {
        let here = format!("after={}", lsn(horizon)).replace('/', "%2F");
        match request.query.contains(&here) {
            true => nothing_reply(horizon),
            false => Reply::problem_of(ProblemKind::Expired),
        }
    }
}

async fn session(relay: &FakeRelay, file: &Path) -> Result<End, PullError> {
    let settings = Settings {
        source: source(),
        terminal: wire::TerminalName::new("till").unwrap(),
        channels: Vec::new(),
        relays: Arc::new(relays_with(vec![relay.address()], impatient())),
        spool_dir: None,
        patience: Some(std::time::Duration::from_secs(1)),
        bounds: Bounds::default(),
        policy: Policy::default(),
    };
    let file = SqliteFile::new(file.to_str().unwrap()).unwrap();
    let mut target = SqliteTarget::open(&file).await.unwrap();
    let (progress, stop) = (Progress::new(true), CancellationToken::new());
    let session = Session {
        target: &mut target,
        settings: Arc::new(settings),
        progress: &progress,
        stop: &stop,
    };
    let end = session.run(Goal::Head).await;
    target.close().await;
    end
}

fn row(file: &Path) -> String {
    let connection = rusqlite::Connection::open(file).unwrap();
    let sql =
        "SELECT (SELECT group_concat(a) FROM t0) || ' at ' || (SELECT lsn FROM tailwater_position)";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn asked(relay: &FakeRelay, what: &str) -> usize {
    relay.seen().iter().filter(|request| request.path.ends_with(what)).count()
}

/// A terminal at 100 with the row `old`.
async fn loaded() -> (tempfile::TempDir, std::path::PathBuf) {
    // No provider may be there yet.
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.db");
    let relay = relay(snapshot_of(lineage(), 100, "old"), log_from(100)).await;
    session(&relay, &file).await.unwrap();
    assert_eq!(row(&file), "old at 0/64");
    (folder, file)
}

#[tokio::test]
async fn the_newest_snapshot_is_loaded_over_what_is_there() {
    let (_folder, file) = loaded().await;
    let relay = relay(snapshot_of(lineage(), 500, "new"), log_from(500)).await;
    let end = session(&relay, &file).await.unwrap();
    assert_eq!(end, End::Reached { applied: lsn(500), transactions: 0, changes: 0 });
    assert_eq!(row(&file), "new at 0/1F4");
    // The relay was told before that it loads.
    let reports = relay.seen().into_iter().filter(|request| request.path.ends_with("/report"));
    let told: Vec<String> =
        reports.map(|request| String::from_utf8(request.body).unwrap()).collect();
    assert!(told[0].contains("\"loading\"") && told[0].contains("\"0/64\""), "{told:?}");
    // And the next pull goes on from there.
    let before = asked(&relay, "/snapshot");
    session(&relay, &file).await.unwrap();
    assert_eq!(asked(&relay, "/snapshot"), before, "{:?}", relay.seen());
}

#[tokio::test]
async fn a_snapshot_that_does_not_lead_on_is_left_alone() {
    for at in [100, 40] {
        let (_folder, file) = loaded().await;
        let relay = relay(snapshot_of(lineage(), at, "new"), log_from(900)).await;
        let error = session(&relay, &file).await.unwrap_err();
        assert!(matches!(error, PullError::NoWayOn { .. }), "{error}");
        assert_eq!((error.exit_code(), row(&file)), (3, "old at 0/64".into()));
    }
}

#[tokio::test]
async fn another_history_is_never_loaded_by_itself() {
    let (_folder, file) = loaded().await;
    let other = Lineage::from_bytes([8; 16]);
    let relays = [
        relay(snapshot_of(other, 500, "new"), |_| Reply::problem_of(ProblemKind::Expired)).await,
        relay(snapshot_of(lineage(), 500, "new"), |_| Reply::problem_of(ProblemKind::OtherLineage))
            .await,
        relay(snapshot_of(lineage(), 500, "new"), |_| Reply::problem_of(ProblemKind::OtherHistory))
            .await,
    ];
    for (at, relay) in relays.iter().enumerate() {
        let error = session(relay, &file).await.unwrap_err();
        assert_eq!(matches!(error, PullError::OtherLineage { .. }), at == 0, "{error}");
        assert_eq!((error.exit_code(), row(&file)), (3, "old at 0/64".into()));
        assert_eq!(asked(relay, "/snapshot"), usize::from(at == 0));
    }
}
