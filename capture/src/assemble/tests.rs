use std::collections::VecDeque;

use proptest::prelude::*;
use wire::{ChannelMap, ChannelName, ChannelRule, ControlRecord, Lsn, Slice};

use super::{
    AssembleError, Assembler, HistoryError, Output, Proof,
    scripts::{Log, Op, Piece, Sent, Wal},
};
use crate::ledger::Ledger;

pub(super) fn insert(table: u32, text: &str) -> Op {
    Op::Insert { table, text: text.to_owned() }
}

pub(super) fn transaction(xid: u32, ops: Vec<Op>) -> Piece {
    Piece::Transaction { xid, ops }
}

pub(super) fn feed(assembler: &mut Assembler, sent: Sent) -> Result<(), AssembleError> {
    match sent {
        Sent::Message(message) => assembler.receive(*message),
        Sent::Keepalive(end) => assembler.keepalive(end),
    }
}

/// Everything in one session; cut once at the end.
pub(super) fn whole(wal: &Wal, map: ChannelMap, drain_above: usize) -> Log {
    let mut log = Log::new(map);
    let mut assembler = log.assembler(Wal::BEGIN, 1, drain_above);
    for sent in wal.stream(Wal::BEGIN) {
        feed(&mut assembler, sent).unwrap();
    }
    assembler.cut().unwrap();
    deliver(&mut assembler, &mut log);
    log
}

pub(super) fn deliver(assembler: &mut Assembler, log: &mut Log) {
    while let Some(output) = assembler.pop() {
        match output {
            Output::Part(part) => log.upload(part),
            Output::Slice(slice) => log.append(&slice),
        }
    }
}

/// A capture that is cut, delayed and killed as `fate` says, until all has arrived.
fn by_pieces(wal: &Wal, map: ChannelMap, drain_above: usize, fate: &mut impl FnMut() -> u8) -> Log {
    let mut log = Log::new(map);
    let mut confirmed = Wal::BEGIN;
    let mut session = 0;
    'session: loop {
        session += 1;
        let mut assembler = log.assembler(confirmed, session, drain_above);
        let mut ledger = Ledger::new(log.head, confirmed);
        let mut under_way: VecDeque<Slice> = VecDeque::new();
        for sent in wal.stream(confirmed) {
            feed(&mut assembler, sent).unwrap();
            let choice = fate();
            match choice {
                0..=50 => assembler.cut().unwrap(),
                51..=60 => drop(assembler.cut_progress().unwrap()),
                61..=80 if session < 40 => continue 'session,
                _ => {}
            }
            while let Some(output) = assembler.pop() {
                match output {
                    Output::Part(part) => log.upload(part),
                    Output::Slice(slice) => {
                        let commit = slice.header().commit.map(|commit| commit.start);
                        ledger.sent(slice.header().through, commit);
                        under_way.push_back(slice);
                    }
                }
            }
            if choice.is_multiple_of(3)
                && let Some(slice) = under_way.pop_front()
            {
                log.append(&slice);
                // The answer may be lost with the process.
                if choice.is_multiple_of(2) {
                    ledger.durable(log.head);
                }
            }
            if choice == 255 {
                ledger.follow_progress();
            }
            assert!(ledger.acknowledged() <= log.head);
            confirmed = ledger.acknowledged();
        }
        under_way.iter().for_each(|slice| log.append(slice));
        assembler.cut().unwrap();
        deliver(&mut assembler, &mut log);
        return log;
    }
}

pub(super) fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let table = 1_u32..4;
    let text = prop_oneof![4 => "[a-z]{0,8}", 1 => "[a-z]{200,400}"];
    let op = prop_oneof![
        6 => (table.clone(), text.clone()).prop_map(|(table, text)| Op::Insert { table, text }),
        2 => (table.clone(), text.clone()).prop_map(|(table, text)| Op::Delete { table, text }),
        1 => prop::collection::vec(table, 1..4).prop_map(|tables| Op::Truncate { tables }),
        1 => text.prop_map(|content| Op::Message { prefix: "user", content }),
    ];
    let piece = prop_oneof![
        6 => prop::collection::vec(op, 1..8).prop_map(|ops| Piece::Transaction { xid: 0, ops }),
        1 => Just(Piece::Transaction { xid: 0, ops: Vec::new() }),
        1 => "[a-z]{0,9}".prop_map(|content| Piece::Lone { content }),
        2 => Just(Piece::Other),
    ];
    prop::collection::vec(piece, 1..40).prop_map(|mut pieces| {
        for (piece, number) in pieces.iter_mut().zip(700..) {
            if let Piece::Transaction { xid, .. } = piece {
                *xid = number;
            }
        }
        pieces
    })
}

pub(super) fn two_channels() -> ChannelMap {
    let channel = ChannelName::new("second").unwrap();
    ChannelMap {
        rules: vec![ChannelRule { channel, tables: vec!["public.t2".into()] }],
        ..ChannelMap::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// However it is cut, delayed, killed and begun again, and however much of a transaction is held
    /// in memory: the history and its hashes are the same bytes.
    #[test]
    fn restarts_and_cuts_leave_no_trace(
        pieces in pieces(),
        choices in prop::collection::vec(any::<u8>(), 1..400),
        drain in prop_oneof![Just(100_usize), Just(1_000), Just(1 << 20)],
    ) {
        let wal = Wal::new(pieces);
        let expected = whole(&wal, two_channels(), 1 << 20);
        let mut choices = choices.into_iter().cycle();
        let found = by_pieces(&wal, two_channels(), drain, &mut || choices.next().unwrap());
        prop_assert_eq!(&found.runs, &expected.runs);
        prop_assert_eq!(&found.hashes, &expected.hashes);
        prop_assert_eq!(&found.map, &expected.map);
    }
}

#[test]
fn a_drained_transaction_travels_in_parts_and_alone() {
    let big: Vec<Op> = (0..200).map(|n| insert(1 + n % 2, &"x".repeat(2_000))).collect();
    let wal = Wal::new(vec![
        transaction(700, vec![insert(1, "before")]),
        transaction(701, big),
        transaction(702, vec![insert(1, "after")]),
    ]);
    let plain = whole(&wal, two_channels(), 1 << 20);
    assert_eq!((plain.slices, plain.parts), (1, 0));
    let drained = whole(&wal, two_channels(), 100_000);
    assert_eq!(drained.slices, 3);
    assert!(drained.parts >= 4, "{}", drained.parts);
    assert_eq!(drained.runs, plain.runs);
    assert_eq!(drained.hashes, plain.hashes);
}

#[test]
fn a_restart_with_a_huge_known_commit_holds_little_and_compares() {
    let big: Vec<Op> = (0..300).map(|_| insert(1, &"x".repeat(2_000))).collect();
    let wal = Wal::new(vec![transaction(700, big)]);
    let log = whole(&wal, ChannelMap::default(), 100_000);
    let mut again = log.assembler(log.known.unwrap().start, 2, 100_000);
    for sent in wal.stream(log.known.unwrap().start) {
        feed(&mut again, sent).unwrap();
        assert!(again.pop().is_none());
        assert!(again.held() < 110_000, "{} bytes", again.held());
    }
    assert_eq!(again.proof(), Proof::Proved);
}

/// The history that a relay has, and another one that went another way after its first transaction.
pub(super) fn branches() -> (Log, Lsn, Wal) {
    let first = transaction(700, vec![insert(1, "first")]);
    let wal = Wal::new(vec![first.clone(), transaction(701, vec![insert(1, "second")])]);
    let log = whole(&wal, ChannelMap::default(), 1 << 20);
    let confirmed = log.known.unwrap().start;
    let third = transaction(702, vec![insert(1, "third")]);
    (log, confirmed, Wal::new(vec![first, transaction(701, vec![insert(1, "other")]), third]))
}

pub(super) fn replayed(log: &Log, confirmed: Lsn, wal: &Wal) -> Result<(), AssembleError> {
    let mut assembler = log.assembler(confirmed, 2, 1 << 20);
    wal.stream(confirmed).into_iter().try_for_each(|sent| feed(&mut assembler, sent))
}

#[test]
fn another_history_is_found_out_by_the_known_commit() {
    let (log, confirmed, other) = branches();
    let error = replayed(&log, confirmed, &other).unwrap_err();
    assert!(matches!(error, AssembleError::History(HistoryError::Differs { .. })), "{error}");
}

#[test]
fn a_history_without_the_known_commit_is_found_out() {
    let (log, confirmed, mut other) = branches();
    other.pieces.remove(1);
    let error = replayed(&log, confirmed, &other).unwrap_err();
    assert!(matches!(error, AssembleError::History(HistoryError::Missing { .. })), "{error}");
}

/// A connection keeps the names it was told; a new one may be told others for the same WAL.
#[test]
fn the_known_commit_is_known_again_by_other_names() {
    let wal = Wal::new(vec![transaction(700, vec![insert(1, "a")])]);
    let log = whole(&wal, ChannelMap::default(), 1 << 20);
    let confirmed = log.known.unwrap().start;
    let mut assembler = log.assembler(confirmed, 2, 1 << 20);
    for sent in wal.stream_of(confirmed, "renamed") {
        feed(&mut assembler, sent).unwrap();
    }
    assert_eq!(assembler.proof(), Proof::Proved);
}

#[test]
fn the_channel_map_of_a_record_holds_for_what_comes_after() {
    let sales = ChannelName::new("sales").unwrap();
    let map = ChannelMap {
        rules: vec![ChannelRule { channel: sales.clone(), tables: vec!["public.t2".into()] }],
        tables: [(9, sales)].into(),
    };
    let record = serde_json::to_string(&ControlRecord::Channels { map }).unwrap();
    let wal = Wal::new(vec![
        transaction(700, vec![insert(1, "bound to default")]),
        transaction(701, vec![Op::Message { prefix: wire::CONTROL_PREFIX, content: record }]),
        transaction(702, vec![insert(1, "stays"), insert(2, "follows the rule")]),
        transaction(
            703,
            vec![Op::Message { prefix: wire::CONTROL_PREFIX, content: "junk".into() }],
        ),
    ]);
    let log = whole(&wal, ChannelMap::default(), 1 << 20);
    let channels: Vec<(&str, Lsn)> =
        log.runs.keys().map(|(name, lsn)| (name.as_str(), *lsn)).collect();
    let end = |at: usize| wal.pieces[at].1;
    assert_eq!(
        channels,
        [
            ("control", end(1)),
            ("control", end(3)),
            ("default", end(0)),
            ("default", end(2)),
            ("sales", end(2))
        ]
    );
    assert_eq!(log.map.tables[&1].as_str(), "default");
    assert_eq!(log.map.tables[&2].as_str(), "sales");
}

#[test]
fn empty_transactions_are_progress() {
    let empty = |xid| transaction(xid, Vec::new());
    let wal = Wal::new(vec![empty(700), empty(701), Piece::Other]);
    let mut log = Log::new(ChannelMap::default());
    let mut assembler = log.assembler(Wal::BEGIN, 1, 1 << 20);
    for sent in wal.stream(Wal::BEGIN) {
        feed(&mut assembler, sent).unwrap();
        assert!(!assembler.has_gathered());
    }
    assert!(assembler.cut_progress().unwrap());
    deliver(&mut assembler, &mut log);
    assert_eq!((log.head, log.slices, log.known), (wal.end(), 1, None));
    assert!(!assembler.cut_progress().unwrap());
}
