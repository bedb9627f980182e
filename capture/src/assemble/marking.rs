//! Whenever it is begun to note marks, and whenever the position becomes known: what is told is how the
//! channels stood there.

use proptest::prelude::*;
use wire::{ChannelMap, ChannelName, ControlRecord, Lsn};

use super::{
    ChannelState,
    scripts::{Log, Op, Piece, Sent, Wal},
    tests::{feed, insert, pieces, transaction, two_channels, whole},
};
use crate::pgoutput::Message;

/// A log of all that ends at or before `lsn`.
fn until(wal: &Wal, lsn: Lsn) -> Log {
    let pieces = wal.pieces.iter().filter(|(_, end, _)| *end <= lsn).cloned().collect();
    whole(&Wal { pieces }, two_channels(), 1 << 20)
}

/// Up to where the WAL was certainly written when this was sent.
fn written(wal: &Wal, sent: &Sent) -> Lsn {
    let end_of = |start| wal.pieces.iter().find(|(of, ..)| *of == start).map(|(_, end, _)| *end);
    match sent {
        Sent::Keepalive(end) => *end,
        Sent::Message(message) => match &**message {
            Message::Begin(begin) => end_of(begin.final_lsn).unwrap(),
            Message::Logical(message) if !message.transactional => message.lsn,
            _ => Lsn::ZERO,
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_state_at_a_position_is_that_of_all_before_it(
        pieces in pieces(),
        had in 0_usize..40,
        (begun, told) in (0_usize..400, 0_usize..100),
        (place, beyond) in (0_usize..40, prop_oneof![Just(0_u64), 1_u64..40]),
        drain in prop_oneof![Just(100_usize), Just(1 << 20)],
    ) {
        let wal = Wal::new(pieces);
        // A session begins anywhere in the history; what the log has comes again.
        let had = wal.pieces.get(had).map_or(Wal::BEGIN, |(_, end, _)| *end);
        let log = until(&wal, had);
        let mut assembler = log.assembler(Wal::BEGIN, 2, drain);
        let sent = wal.stream(Wal::BEGIN);
        let begun = begun % sent.len();
        let mut least = log.head;
        let mut lsn = None;
        for (at, sent) in sent.into_iter().enumerate() {
            if at == begun {
                assembler.note_marks();
                let later = wal.pieces.iter().filter(|(_, end, _)| *end > least);
                let at = later.map(|(_, end, _)| *end).nth(place).unwrap_or(least);
                lsn = Some(Lsn::new(at.get() + beyond));
            }
            if at == begun + told {
                assembler.seek(lsn.unwrap());
            }
            least = least.max(written(&wal, &sent));
            feed(&mut assembler, sent).unwrap();
            while assembler.pop().is_some() {}
        }
        let lsn = lsn.unwrap();
        assembler.seek(lsn);
        assembler.keepalive(lsn.max(wal.end())).unwrap();
        let log = until(&wal, lsn);
        let expected = ChannelState { hashes: log.hashes, map: log.map };
        prop_assert_eq!(assembler.sought(), Some(Ok(expected)));
        prop_assert_eq!(assembler.sought(), None);
    }
}

/// What a transaction behind the position binds, and a channel that begins there, is not told.
#[test]
fn what_comes_later_is_not_in_it() {
    let map = ChannelMap {
        tables: [(9, ChannelName::new("sales").unwrap())].into(),
        ..ChannelMap::default()
    };
    let record = serde_json::to_string(&ControlRecord::Channels { map }).unwrap();
    let message = |content| Op::Message { prefix: wire::CONTROL_PREFIX, content };
    let piece = |ops| transaction(700, ops);
    let wal = Wal::new(vec![
        piece(vec![insert(1, "before")]),
        Piece::Other,
        piece(vec![insert(2, "another channel"), insert(3, "another table")]),
        piece(vec![message(record)]),
    ]);
    for (at, known_at_once) in [(0, true), (1, false), (2, true), (3, false)] {
        let lsn = wal.pieces[at].1;
        let mut assembler = until(&wal, Wal::BEGIN).assembler(Wal::BEGIN, 1, 1 << 20);
        assembler.note_marks();
        if known_at_once {
            assembler.seek(lsn);
        }
        for sent in wal.stream(Wal::BEGIN) {
            feed(&mut assembler, sent).unwrap();
        }
        assembler.keepalive(wal.end()).unwrap();
        assembler.seek(lsn);
        let log = until(&wal, lsn);
        let found = assembler.sought().unwrap().unwrap();
        assert_eq!((found.hashes, found.map), (log.hashes, log.map), "at piece {at}");
    }
}
