//! What the server says beside the transactions: up to where there is nothing more.

use wire::{ChannelMap, Lsn};

use super::{
    AssembleError, HistoryError,
    scripts::{Log, Piece, Wal},
    tests::{branches, deliver, feed, insert, replayed, transaction},
};

const FAR: Lsn = Lsn::new(1 << 20);

fn one_row() -> Piece {
    transaction(700, vec![insert(1, "a")])
}

/// A log that has nothing yet.
fn empty() -> Log {
    Log::new(ChannelMap::default())
}

#[test]
fn a_position_told_within_a_transaction_is_not_adopted() {
    let (wal, mut log) = (Wal::new(vec![one_row()]), empty());
    let mut assembler = log.assembler(Wal::BEGIN, 1, 1 << 20);
    let mut stream = wal.stream(Wal::BEGIN);
    let commit = stream.pop().unwrap();
    stream.into_iter().for_each(|sent| feed(&mut assembler, sent).unwrap());
    assembler.keepalive(FAR).unwrap();
    feed(&mut assembler, commit).unwrap();
    assembler.cut().unwrap();
    assert!(!assembler.cut_progress().unwrap(), "not even afterwards");
    deliver(&mut assembler, &mut log);
    assert_eq!((log.head, log.slices), (wal.end(), 1));
}

#[test]
fn no_progress_while_a_transaction_is_under_way_or_waits() {
    let (wal, mut log) = (Wal::new(vec![Piece::Other, one_row()]), empty());
    let mut assembler = log.assembler(Wal::BEGIN, 1, 1 << 20);
    for sent in wal.stream(Wal::BEGIN) {
        feed(&mut assembler, sent).unwrap();
        let waits = assembler.is_open() || assembler.has_gathered();
        assert!(!waits || !assembler.cut_progress().unwrap());
    }
    assembler.keepalive(FAR).unwrap();
    assert!(!assembler.cut_progress().unwrap(), "the transaction is not sent yet");
    assembler.cut().unwrap();
    assert!(assembler.cut_progress().unwrap());
    deliver(&mut assembler, &mut log);
    assert_eq!((log.head, log.slices), (FAR, 2));
    assert_eq!(log.known.unwrap().end, wal.end(), "progress is no commit");
}

#[test]
fn a_transaction_where_there_was_said_to_be_none_is_refused() {
    let (wal, mut log) = (Wal::new(vec![one_row()]), empty());
    let mut assembler = log.assembler(Wal::BEGIN, 1, 1 << 20);
    assembler.keepalive(FAR).unwrap();
    assert!(assembler.cut_progress().unwrap());
    let result = wal.stream(Wal::BEGIN).into_iter().try_for_each(|sent| feed(&mut assembler, sent));
    assert!(matches!(result, Err(AssembleError::Backwards { .. })), "{result:?}");
    deliver(&mut assembler, &mut log);
    assert_eq!((log.head, log.slices), (FAR, 1), "the log ends with the progress");
}

fn is_missing(result: Result<(), AssembleError>) {
    assert!(
        matches!(result, Err(AssembleError::History(HistoryError::Missing { .. }))),
        "{result:?}"
    );
}

/// Nothing comes from the other master but its position: that is enough.
#[test]
fn a_quiet_master_that_passes_the_known_commit_over_is_found_out() {
    let (log, confirmed, mut other) = branches();
    other.pieces.truncate(1);
    replayed(&log, confirmed, &other).unwrap();
    let known = log.known.unwrap();
    other.pieces.push((known.start, known.end, Piece::Other));
    is_missing(replayed(&log, confirmed, &other));
}

#[test]
fn a_message_outside_transactions_passes_the_known_commit_over() {
    let (log, confirmed, mut other) = branches();
    other.pieces.remove(1);
    other.pieces[1].2 = Piece::Lone { content: "later".into() };
    is_missing(replayed(&log, confirmed, &other));
}
