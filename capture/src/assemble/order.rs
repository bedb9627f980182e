//! What cannot follow on what came before is refused, not sorted out.

use wire::ChannelMap;

use super::{
    AssembleError,
    scripts::{Log, Piece, Sent, Wal},
    tests::{feed, insert, replayed, transaction, whole},
};

fn two_transactions() -> Wal {
    Wal::new(vec![transaction(700, vec![insert(1, "a")]), transaction(701, vec![insert(1, "b")])])
}

fn empty() -> Log {
    Log::new(ChannelMap::default())
}

/// Those of them that the log has already, too.
#[test]
fn positions_only_go_forward() {
    let mut wal = two_transactions();
    let known = whole(&wal, ChannelMap::default(), 1 << 20);
    wal.pieces.swap(0, 1);
    for log in [empty(), known] {
        let error = replayed(&log, Wal::BEGIN, &wal).unwrap_err();
        assert!(matches!(error, AssembleError::Backwards { .. }), "{error}");
    }
}

fn is_out_of_order(stream: impl IntoIterator<Item = Sent>, why: &str) {
    let mut assembler = empty().assembler(Wal::BEGIN, 1, 1 << 20);
    let error = stream.into_iter().try_for_each(|sent| feed(&mut assembler, sent)).unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn a_commit_ends_the_transaction_that_began() {
    let stream = two_transactions().stream(Wal::BEGIN).into_iter().enumerate();
    // Without the end of the first and the beginning of the second.
    let stream = stream.filter(|(at, _)| !matches!(at, 4 | 5));
    is_out_of_order(stream.map(|(_, sent)| sent), "COMMIT without its BEGIN");
}

#[test]
fn a_message_outside_transactions_does_not_come_within_one() {
    let mut stream = two_transactions().stream(Wal::BEGIN);
    let message = Piece::Lone { content: "lone".into() };
    let message = Wal::new(vec![message]).stream(Wal::BEGIN).pop().unwrap();
    stream.insert(2, message);
    is_out_of_order(stream, "inside a transaction");
}

#[test]
fn a_stream_out_of_order_is_refused() {
    let wal = Wal::new(vec![transaction(700, vec![insert(1, "a")])]);
    let sent = wal.stream(Wal::BEGIN);
    let log = Log::new(ChannelMap::default());
    // Without its BEGIN; without the table's description; without its COMMIT.
    for left_out in [1, 2, 4] {
        let mut assembler = log.assembler(Wal::BEGIN, 1, 1 << 20);
        let twice = sent.iter().chain(&sent).cloned().enumerate();
        let broken = twice.filter(|(at, _)| at % sent.len() != left_out);
        let result = broken.map(|(_, sent)| sent).try_for_each(|sent| feed(&mut assembler, sent));
        assert!(result.is_err(), "{left_out}");
    }
}
