use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use wire::{
    CONTROL_PREFIX, Change, ChannelHashes, ChannelMap, ChannelName, ChannelRule, ControlRecord,
    Lineage, Lsn, Relation, RelationColumn, RelationId, ReplicaIdentity, Slice, SliceBuilder,
    SourceName, TransactionEncoder, TransactionHeader, TypeName, Value,
};

use super::{
    super::{
        applier::Applier,
        bundle::Bundle,
        error::PullError,
        settings::{Bounds, Policy, Settings},
        status::Status,
    },
    recorder::{Done, Recorder},
};
use crate::{
    fetch::{FetchSettings, RelayAddress, Relays},
    position::Position,
    progress::Progress,
    target::{Stored, StoredState},
};

fn source() -> SourceName {
    SourceName::new("orders").unwrap()
}

fn lineage() -> Lineage {
    Lineage::from_bytes([1; 16])
}

fn settings(commit_changes: u64) -> Arc<Settings> {
    // No connection is made; a provider may be there from another test.
    drop(rustls::crypto::ring::default_provider().install_default());
    let address = RelayAddress::parse("http://127.0.0.1:1").unwrap();
    let relays = Relays::new(vec![address], &source(), None, FetchSettings::default()).unwrap();
    Arc::new(Settings {
        source: source(),
        terminal: wire::TerminalName::new("t").unwrap(),
        channels: Vec::new(),
        relays: Arc::new(relays),
        spool_dir: None,
        patience: None,
        bounds: Bounds { commit_changes, ..Bounds::default() },
        policy: Policy::default(),
    })
}

pub(super) type Changed = Change<(RelationId, Arc<Relation>)>;

/// Slices of transactions that end at the positions given, each with so many inserts.
pub(super) struct History(pub(super) SliceBuilder);

impl History {
    pub(super) fn new() -> Self {
        Self(SliceBuilder::new(source(), lineage(), Lsn::ZERO, ChannelHashes::default(), 1))
    }

    pub(super) fn slice(&mut self, transactions: &[(u64, usize)]) -> Slice {
        for (end, changes) in transactions {
            let insert = Change::Insert {
                relation: relation(),
                new: vec![Value::Text(Bytes::from_static(b"1"))],
            };
            self.push(*end, &ChannelName::default_channel(), &vec![insert; *changes]);
        }
        let through = transactions.last().unwrap().0;
        self.0.finish(Lsn::new(through)).unwrap()
    }

    pub(super) fn push(&mut self, end: u64, channel: &ChannelName, changes: &[Changed]) {
        let changes: Vec<_> = changes.iter().map(|change| (channel, change.clone())).collect();
        self.push_all(end, &changes);
    }

    /// Each change in its channel.
    pub(super) fn push_all(&mut self, end: u64, changes: &[(&ChannelName, Changed)]) {
        let header = TransactionHeader { xid: 1, commit_time_us: 0 };
        let mut encoder = TransactionEncoder::new(header);
        changes.iter().for_each(|(channel, change)| encoder.push(channel, change));
        self.0.push(Lsn::new(end - 1), Lsn::new(end), &encoder.finish(), &[]).unwrap();
    }
}

pub(super) fn relation() -> (RelationId, Arc<Relation>) {
    let relation = Relation {
        oid: 1,
        schema: "public".into(),
        name: "t".into(),
        identity: ReplicaIdentity::Default,
        columns: vec![RelationColumn {
            name: "id".into(),
            key: true,
            type_name: TypeName { schema: "pg_catalog".into(), name: "int4".into() },
            type_oid: 23,
            type_modifier: -1,
        }],
    };
    (relation.id(), Arc::new(relation))
}

fn stored() -> Stored {
    Stored {
        position: Position::proved(lineage(), Lsn::ZERO, ChannelHashes::default()),
        state: StoredState::Ready,
        channels: None,
        channel_map: ChannelMap::default(),
    }
}

/// What the target saw of these slices, taken one bundle each, and how it ended.
pub(super) async fn applied(
    commit_changes: u64,
    bundles: &[&[Slice]],
    stop: bool,
) -> (Vec<Done>, Stored, Result<(), PullError>) {
    let settings = settings(commit_changes);
    let (mut target, seen) = {
        let recorder = Recorder::default();
        (recorder.clone(), recorder)
    };
    let (status, _) = watch::channel(Status::new());
    let progress = Progress::new(true);
    let mut applier = Applier::new(&mut target, settings.clone(), status, &progress, stored());
    let mut result = Ok(());
    for slices in bundles {
        let start = applier.stored().position.clone();
        let bundle = Bundle::of_slices(&settings, slices, start, Lsn::MAX);
        result = applier.bundle(bundle, || stop).await;
        if result.is_err() {
            break;
        }
    }
    (seen.all(), applier.stored().clone(), result)
}

pub(super) fn runs(runs: &[(u64, usize)]) -> Done {
    Done::Apply(runs.iter().map(|(lsn, changes)| (Lsn::new(*lsn), *changes)).collect())
}

#[tokio::test]
async fn transactions_share_a_commit_and_the_position_is_the_last() {
    let slice = History::new().slice(&[(10, 2), (20, 1), (30, 1)]);
    let (done, stored, result) = applied(1_000, &[&[slice]], false).await;
    result.unwrap();
    let expected =
        vec![Done::Begin, runs(&[(10, 2), (20, 1), (30, 1)]), Done::Commit(Lsn::new(30))];
    assert_eq!(done, expected);
    assert_eq!(stored.position.lsn, Lsn::new(30));
}

#[tokio::test]
async fn a_transaction_is_never_split_however_large() {
    let slice = History::new().slice(&[(10, 1), (20, 45_000), (30, 1)]);
    let (done, _, result) = applied(1, &[&[slice]], false).await;
    result.unwrap();
    let commits: Vec<&Done> = done.iter().filter(|done| matches!(done, Done::Commit(_))).collect();
    assert_eq!(commits, [10, 20, 30].map(|lsn| Done::Commit(Lsn::new(lsn))).each_ref(), "{done:?}");
    // Its changes came in several batches, all of them in one target transaction.
    let begins = done.iter().filter(|done| **done == Done::Begin).count();
    let batches = done.iter().filter(|done| matches!(done, Done::Apply(_))).count();
    assert!(begins == 3 && batches > 4, "{done:?}");
}

#[tokio::test]
async fn commits_come_where_the_bound_says_and_only_between_transactions() {
    let mut history = History::new();
    let transactions: Vec<(u64, usize)> = (1..=500).map(|n| (n * 10, 7)).collect();
    let slice = history.slice(&transactions);
    let (done, _, result) = applied(1_000, &[&[slice]], false).await;
    result.unwrap();
    let mut changes = std::collections::BTreeMap::<Lsn, usize>::new();
    let mut last = Lsn::ZERO;
    for done in &done {
        match done {
            Done::Begin | Done::Alter(..) => {}
            Done::Apply(of) => {
                of.iter().for_each(|(lsn, count)| *changes.entry(*lsn).or_default() += count);
            }
            Done::Commit(at) => {
                assert!(changes.iter().all(|(lsn, count)| lsn <= at && *count == 7), "{at}");
                assert!(*at > last);
                last = *at;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((changes.len(), last), (500, Lsn::new(5_000)));
    let commits = done.iter().filter(|done| matches!(done, Done::Commit(_))).count();
    assert!((3..=4).contains(&commits), "3,500 changes in {commits} commits");
}

#[tokio::test]
async fn progress_alone_moves_the_position() {
    let mut history = History::new();
    let first = history.slice(&[(10, 1)]);
    let idle = Slice::progress(source(), lineage(), Lsn::new(10), Lsn::new(99)).unwrap();
    let (done, stored, result) = applied(10, &[&[first], &[idle]], false).await;
    result.unwrap();
    assert_eq!(done.last(), Some(&Done::Commit(Lsn::new(99))));
    assert_eq!(stored.position.lsn, Lsn::new(99));
}

#[tokio::test]
async fn what_was_applied_before_is_skipped() {
    let slices: [Slice; 1] = [History::new().slice(&[(10, 1), (20, 1)])];
    let (done, _, result) = applied(10, &[&slices, &slices], false).await;
    result.unwrap();
    let applies: Vec<&Done> = done.iter().filter(|done| matches!(done, Done::Apply(_))).collect();
    assert_eq!(applies, [&runs(&[(10, 1), (20, 1)])], "a repeat must have no effect");
}

#[tokio::test]
async fn nothing_of_a_damaged_slice_is_applied() {
    let mut history = History::new();
    let good = history.slice(&[(10, 1)]);
    let bad = history.slice(&[(20, 1), (30, 1)]);
    let mut bytes = bad.bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let bad = Slice::decode(bytes.into()).unwrap();
    let (done, stored, result) = applied(10, &[&[good], &[bad]], false).await;
    let error = result.unwrap_err();
    assert!(matches!(error, PullError::Range(_)), "{error}");
    assert!(error.to_string().contains("0/A"), "it names the last good position: {error}");
    assert_eq!(done.iter().filter(|done| matches!(done, Done::Apply(_))).count(), 1);
    assert_eq!(stored.position.lsn, Lsn::new(10));
}

#[tokio::test]
async fn a_gap_is_refused() {
    let mut history = History::new();
    let _lost = history.slice(&[(10, 1)]);
    let later = history.slice(&[(20, 1)]);
    let (done, _, result) = applied(10, &[&[later]], false).await;
    assert!(result.unwrap_err().to_string().contains("gap"));
    assert_eq!(done, Vec::new());
}

#[tokio::test]
async fn a_stop_commits_what_is_whole_and_leaves() {
    let mut history = History::new();
    let transactions: Vec<(u64, usize)> = (1..=300).map(|n| (n * 10, 100)).collect();
    let slice = history.slice(&transactions);
    let (done, stored, result) = applied(1_000_000, &[&[slice]], true).await;
    result.unwrap();
    assert_eq!(done.last(), Some(&Done::Commit(stored.position.lsn)));
    assert!(stored.position.lsn < Lsn::new(3_000), "it went on to {}", stored.position.lsn);
}

#[tokio::test]
async fn the_channel_map_is_kept_and_messages_are_not_rows() {
    let mut history = History::new();
    let sales = ChannelName::new("sales").unwrap();
    let rule = ChannelRule { channel: sales, tables: vec!["sales.*".into()] };
    let map = ChannelMap { rules: vec![rule], ..ChannelMap::default() };
    let message = |content: Vec<u8>| Change::Message {
        prefix: CONTROL_PREFIX.into(),
        content: content.into(),
        transactional: true,
    };
    let record = serde_json::to_vec(&ControlRecord::Channels { map: map.clone() }).unwrap();
    let unknown = br#"{"kind":"from_the_future"}"#.to_vec();
    history.push(10, &ChannelName::control(), &[message(record), message(unknown)]);
    let slice = history.slice(&[(20, 1)]);
    let (done, stored, result) = applied(10, &[&[slice]], false).await;
    result.unwrap();
    assert_eq!(stored.channel_map, map);
    assert_eq!(done[1], runs(&[(20, 1)]));
}
