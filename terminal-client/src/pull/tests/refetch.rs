//! A transaction leaves rows out of the stream: the target goes to exactly a snapshot that has them, in one
//! transaction.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use wire::{
    Change, ChannelHashes, ChannelMap, ChannelName, Definitions, Lsn, Relation, RelationColumn,
    RelationId, ReplicaIdentity, SCHEMA, SCHEMA_CHANGE_COLUMN, SCHEMA_CHANGES, SchemaChange, Slice,
    SliceBuilder, Snapshot, SnapshotList, TransactionEncoder, TransactionHeader, TypeName, Value,
};

use super::{
    super::{
        error::PullError,
        session::{End, Goal, Session},
        settings::{Bounds, Policy, Settings},
    },
    expired::definition,
    recorder::{Done, Recorder},
};
use crate::{
    fetch::tests::{
        fake::{FakeRelay, Reply, Request},
        samples::{
            channel, impatient, lineage, lsn, nothing_reply, pull_reply, relays_with, row,
            snapshot, source, standing,
        },
    },
    position::Position,
    progress::Progress,
    target::{Stored, StoredState},
};

type Row = Change<(RelationId, Arc<Relation>)>;

fn insert(oid: u32, (schema, name): (&str, &str), column: &str, value: &str) -> Row {
    let type_name = TypeName { schema: "pg_catalog".into(), name: "text".into() };
    let (column, type_oid, type_modifier) = (column.to_owned(), 25, -1);
    let relation = Relation {
        oid,
        schema: schema.into(),
        name: name.into(),
        identity: ReplicaIdentity::Default,
        columns: vec![RelationColumn {
            name: column,
            key: true,
            type_name,
            type_oid,
            type_modifier,
        }],
    };
    let new = vec![Value::Text(value.to_owned().into())];
    Change::Insert { relation: (relation.id(), Arc::new(relation)), new }
}

/// Of `t`, which is rewritten at 20.
fn t() -> Row {
    insert(1, ("public", "t"), "a", "x")
}

/// Of a table that is not.
fn u() -> Row {
    insert(2, ("public", "u"), "a", "x")
}

fn rewritten() -> Row {
    let mut table = definition();
    (table.oid, table.name) = (1, "t".into());
    let is = Definitions { tables: vec![table], ..Definitions::default() };
    let (before, after) = (Some(is.clone()), Some(is));
    let change = SchemaChange { oid: 1, before, after, dropped: false, rows_needed: true };
    let json = serde_json::to_string(&change).unwrap();
    insert(9, (SCHEMA, SCHEMA_CHANGES), SCHEMA_CHANGE_COLUMN, &json)
}

/// Slices of one transaction each, and the hashes behind the one at 30.
fn history() -> (Vec<Slice>, ChannelHashes) {
    let transactions = [
        (10, vec![t()]),
        (20, vec![t(), u(), rewritten(), t()]),
        (30, vec![t(), u(), t()]),
        (50, vec![t(), u()]),
    ];
    let mut builder =
        SliceBuilder::new(source(), lineage(), Lsn::ZERO, ChannelHashes::default(), 1);
    let (mut slices, mut hashes) = (Vec::new(), ChannelHashes::default());
    for (end, changes) in transactions {
        let header = TransactionHeader { xid: 1, commit_time_us: 0 };
        let mut encoder = TransactionEncoder::new(header);
        for change in &changes {
            let control = matches!(change, Change::Insert { relation, .. } if relation.1.oid == 9);
            encoder.push(&if control { ChannelName::control() } else { channel() }, change);
        }
        builder.push(lsn(end - 1), lsn(end), &encoder.finish(), &[]).unwrap();
        let slice = builder.finish(lsn(end)).unwrap();
        if end <= 30 {
            slice.parts().for_each(|(part, _)| hashes.set(part.channel.clone(), part.after));
        }
        slices.push(slice);
    }
    (slices, hashes)
}

/// At 35, where no commit is.
fn snapshot_at_35(hashes: ChannelHashes) -> Snapshot {
    let mut snapshot = snapshot(35, &[Vec::new()], "1");
    snapshot.hashes = hashes;
    let table = &mut snapshot.tables[0];
    (table.oid, table.name, table.rows, table.raw_len) = (1, "t".into(), 0, 0);
    snapshot
}

/// Has the snapshot from the third time on that it is asked for it.
async fn relay(slices: Vec<Slice>, snapshot: Snapshot) -> FakeRelay {
    let asked = AtomicUsize::new(0);
    FakeRelay::start(move |request, _| match request.path.rsplit('/').next() {
        Some("log") => {
            let after = after(request);
            let next = slices.iter().filter(|slice| slice.header().through > after);
            let next: Vec<Slice> = next.cloned().collect();
            match next.is_empty() {
                true => nothing_reply(50),
                false => pull_reply(200, wire::SLICES_TYPE, &standing(50, 50), &row(&next)),
            }
        }
        Some("snapshot") => {
            let early = asked.fetch_add(1, Ordering::Relaxed) < 2;
            let old = Snapshot { lsn: lsn(19), ..snapshot.clone() };
            let snapshots = if early { vec![old] } else { vec![snapshot.clone(), old] };
            Reply::json(&SnapshotList { snapshots, succeeds: Vec::new() })
                .with("Tailwater-Channels: *")
        }
        Some("report") => Reply::new(204, &[], b""),
        _ => Reply::json(&json!({})),
    })
    .await
}

fn after(request: &Request) -> Lsn {
    let text = request.query.replace("%2F", "/");
    let after = text.split('&').find_map(|part| part.strip_prefix("after=")).unwrap();
    after.parse().unwrap()
}

async fn pulled(hashes: ChannelHashes, patience: u64) -> (Vec<Done>, Result<End, PullError>) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let relay = relay(history().0, snapshot_at_35(hashes)).await;
    let settings = Settings {
        source: source(),
        terminal: wire::TerminalName::new("till").unwrap(),
        channels: Vec::new(),
        relays: Arc::new(relays_with(vec![relay.address()], impatient())),
        spool_dir: None,
        patience: Some(Duration::from_secs(patience)),
        bounds: Bounds::default(),
        policy: Policy::default(),
    };
    let mut target = Recorder::at(Stored {
        position: Position::proved(lineage(), Lsn::ZERO, ChannelHashes::default()),
        state: StoredState::Ready,
        channels: None,
        channel_map: ChannelMap::default(),
    });
    let seen = target.clone();
    let (progress, stop) = (Progress::new(true), CancellationToken::new());
    let session = Session {
        target: &mut target,
        settings: Arc::new(settings),
        progress: &progress,
        stop: &stop,
    };
    let end = session.run(Goal::Head).await;
    (seen.all(), end)
}

/// What comes before the transaction at 20 is committed by itself.
fn before() -> Vec<Done> {
    vec![Done::Begin, Done::Apply(vec![(lsn(10), 1)]), Done::Commit(lsn(10)), Done::RollBack]
}

#[tokio::test]
async fn one_transaction_leads_to_exactly_the_snapshot() {
    let (done, end) = pulled(history().1, 30).await;
    let expected = [
        Done::Begin,
        Done::Empty("public.t".into()),
        // Rows of `t` are skipped, those of `u` are not.
        Done::Apply(vec![(lsn(20), 1)]),
        Done::Alter(lsn(20), "public.t".into()),
        Done::Apply(vec![(lsn(30), 1)]),
        Done::Rows("public.t".into()),
        Done::Commit(lsn(35)),
        Done::Begin,
        // One definition after the other.
        Done::Apply(vec![(lsn(50), 1)]),
        Done::Apply(vec![(lsn(50), 1)]),
        Done::Commit(lsn(50)),
    ];
    assert_eq!(done, [before(), expected.to_vec()].concat());
    assert!(matches!(end.unwrap(), End::Reached { applied, .. } if applied == lsn(50)));
}

#[tokio::test]
async fn a_snapshot_that_does_not_come_is_waited_for_as_long_as_the_patience_lasts() {
    let (done, end) = pulled(history().1, 1).await;
    let error = end.unwrap_err();
    assert!(matches!(error, PullError::RowsNeeded { .. }), "{error}");
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("tailwater-relay status"), "{error}");
    assert_eq!(done, before());
}

#[tokio::test]
async fn a_snapshot_of_another_history_is_refused() {
    let mut hashes = history().1;
    hashes.set(channel(), wire::Hash::of(b"another"));
    let (done, end) = pulled(hashes, 30).await;
    let error = end.unwrap_err();
    assert!(matches!(&error, PullError::Range(range) if range.is_fork()), "{error}");
    assert_eq!(error.exit_code(), 3);
    assert!(
        !done.contains(&Done::Commit(lsn(35))) && !done.contains(&Done::Rows("public.t".into()))
    );
}
