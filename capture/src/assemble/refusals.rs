//! Streams that no PostgreSQL sends, and what must not depend on how a stream is cut.

use wire::{ChannelMap, Lsn};

use super::{
    AssembleError, Assembler,
    scripts::{Log, Piece, Wal},
    tests::{deliver, feed, insert, transaction, whole},
};
use crate::pgoutput;

fn two() -> Wal {
    Wal::new(vec![
        transaction(700, vec![insert(1, "a")]),
        transaction(701, vec![insert(1, "b")]),
        Piece::Lone { content: "outside".into() },
    ])
}

/// What becomes of those places of the stream of [`two`]: keepalive, BEGIN, relation, insert, COMMIT,
/// BEGIN, insert, COMMIT, message.
fn only(places: &[usize]) -> Result<(), AssembleError> {
    let sent = two().stream(Wal::BEGIN);
    let mut assembler = Log::new(ChannelMap::default()).assembler(Wal::BEGIN, 1, 1 << 20);
    places.iter().try_for_each(|at| feed(&mut assembler, sent[*at].clone()))
}

#[test]
fn messages_where_they_have_no_place() {
    assert!(only(&[0, 1, 2, 3, 4, 5, 6, 7, 8]).is_ok());
    for (places, what) in [
        (&[1, 2, 3, 5][..], "BEGIN inside a transaction"),
        (&[1, 2, 3, 7], "COMMIT without its BEGIN"),
        (&[1, 2, 3, 8], "a non-transactional message inside a transaction"),
        (&[1, 2, 3, 4, 6], "a change outside any transaction"),
    ] {
        let said = only(places).unwrap_err().to_string();
        assert!(said.contains(what), "{what}: {said}");
    }
}

fn put(assembler: &mut Assembler, message: &[u8]) -> Result<(), AssembleError> {
    let message = pgoutput::decode(message.to_vec().into(), Lsn::ZERO).unwrap();
    assembler.receive(message)
}

#[test]
fn a_row_that_does_not_fit_its_table() {
    let sent = two().stream(Wal::BEGIN);
    let mut assembler = Log::new(ChannelMap::default()).assembler(Wal::BEGIN, 1, 1 << 20);
    for sent in &sent[..3] {
        feed(&mut assembler, sent.clone()).unwrap();
    }
    put(&mut assembler, b"I\0\0\0\x01N\0\x01n").unwrap();
    let error = put(&mut assembler, b"I\0\0\0\x01N\0\x02nn").unwrap_err();
    assert!(matches!(error, AssembleError::Columns { expected: 1, found: 2, .. }), "{error}");
}

/// What the log has already is not only counted: its order is the master's, too.
#[test]
fn repeats_only_go_forward() {
    let mut wal = two();
    let log = whole(&wal, ChannelMap::default(), 1 << 20);
    wal.pieces.swap(0, 1);
    let mut assembler = log.assembler(Wal::BEGIN, 2, 1 << 20);
    let mut sent = wal.stream(Wal::BEGIN).into_iter();
    let error = sent.find_map(|sent| feed(&mut assembler, sent).err()).unwrap();
    assert!(matches!(error, AssembleError::Backwards { .. }), "{error}");
}

/// Servers up to 14 send transactions without a change, later ones do not, and none does once the
/// slot is past them: the time of a message outside any transaction must not come from such a one.
#[test]
fn a_message_leans_on_a_commit_that_always_comes_again() {
    let lone = Piece::Lone { content: "outside".into() };
    let wal =
        Wal::new(vec![transaction(700, vec![insert(1, "a")]), transaction(701, Vec::new()), lone]);
    let expected = whole(&wal, ChannelMap::default(), 1 << 20);
    let first = Wal { pieces: wal.pieces[..1].to_vec() };
    let mut log = whole(&first, ChannelMap::default(), 1 << 20);
    // The slot has followed mere progress past the empty one.
    let confirmed = wal.pieces[1].1;
    let mut assembler = log.assembler(confirmed, 2, 1 << 20);
    for sent in wal.stream(confirmed) {
        feed(&mut assembler, sent).unwrap();
    }
    assembler.cut().unwrap();
    deliver(&mut assembler, &mut log);
    assert_eq!(log.runs, expected.runs);
}

/// Nor must it depend on where a log begins: before the commit that the message follows, or behind it.
#[test]
fn a_message_is_the_same_in_every_log() {
    let lone = Piece::Lone { content: "outside".into() };
    let wal = Wal::new(vec![transaction(700, vec![insert(1, "a")]), lone]);
    let expected = whole(&wal, ChannelMap::default(), 1 << 20);
    let mut log = Log::new(ChannelMap::default());
    let begin = wal.pieces[0].1;
    let mut assembler = log.assembler(begin, 1, 1 << 20);
    for sent in wal.stream(begin) {
        feed(&mut assembler, sent).unwrap();
    }
    assembler.cut().unwrap();
    deliver(&mut assembler, &mut log);
    assert_eq!(log.runs.len(), 1);
    assert_eq!(log.runs.iter().last(), expected.runs.iter().last());
}

#[test]
fn large_values_and_messages_travel_in_parts_of_bounded_size() {
    let large = "x".repeat(1_000_000);
    let wal = Wal::new(vec![
        transaction(700, vec![insert(1, &large)]),
        Piece::Lone { content: large.clone() },
    ]);
    let plain = whole(&wal, ChannelMap::default(), 8 << 20);
    assert_eq!(plain.parts, 0);
    // Parts of twice 100,000 bytes at most: six each.
    let drained = whole(&wal, ChannelMap::default(), 100_000);
    assert_eq!((drained.parts, drained.slices), (12, 2));
    assert_eq!(drained.runs, plain.runs);
}
