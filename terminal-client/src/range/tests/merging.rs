//! However a history is packed and wherever reading begins, the same transactions come out.

use proptest::{collection::vec, prelude::*};
use wire::{ChannelName, Lsn, TransactionHeader};

use super::{
    super::{Event, Range, RangeError, RangeReader, Relations, verify},
    history::{Decoded, Made, history, lineage, source},
    packing::{Packing, pack},
};
use crate::position::Position;

type Seen = (Lsn, TransactionHeader, Vec<(ChannelName, Decoded)>);

/// Everything that follows on a position, and where it ends.
pub(super) fn read(
    ranges: &[Range],
    mut position: Position,
) -> Result<(Vec<Seen>, Position), RangeError> {
    let mut relations = Relations::default();
    let mut seen: Vec<Seen> = Vec::new();
    for range in ranges {
        let end = verify(range, &source(), &position)?;
        let mut reader = RangeReader::new(range, position, &mut relations)?;
        while let Some(event) = reader.next(&mut relations)? {
            match event {
                Event::Begin { lsn, header, .. } => seen.push((lsn, header, Vec::new())),
                Event::Change { channel, change } => {
                    seen.last_mut().unwrap().2.push((channel, change));
                }
                Event::Commit { lsn } => {
                    assert_eq!(seen.last().unwrap().0, lsn);
                    assert_eq!(reader.position().lsn, lsn);
                }
            }
        }
        assert_eq!(*reader.position(), end, "proved and read positions differ");
        position = end;
    }
    Ok((seen, position))
}

fn expected(history: &[Made], after: Lsn, keep: impl Fn(&ChannelName) -> bool) -> Vec<Seen> {
    let later = history.iter().filter(|made| made.end > after);
    later
        .map(|made| {
            let kept = made.changes.iter().filter(|(channel, _)| keep(channel)).cloned().collect();
            (made.end, made.header, kept)
        })
        .filter(|(_, _, changes): &Seen| !changes.is_empty())
        .collect()
}

pub(super) fn packing() -> impl Strategy<Value = Packing> {
    prop_oneof![
        Just(Packing::Slice),
        Just(Packing::Objects),
        (1_usize..200).prop_map(Packing::Huge),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn packing_is_invisible(
        history in history(30),
        pieces in vec((1_usize..6, packing()), 1..5),
        from in any::<prop::sample::Index>(),
    ) {
        let spool = tempfile::tempdir().unwrap();
        let (ranges, known) = pack(&history, &pieces, spool.path());
        let (lsn, hashes) = known.iter().nth(from.index(known.len())).unwrap();
        let start = Position::proved(lineage(), *lsn, hashes.clone());
        // What lies wholly before the position may be sent or not.
        let first = ranges.iter().position(|range| range.through > *lsn).unwrap_or(ranges.len());
        for skipped in [0, first] {
            let (seen, end) = read(&ranges[skipped..], start.clone()).unwrap();
            prop_assert_eq!(&seen, &expected(&history, *lsn, |_| true));
            let (last, hashes) = known.iter().next_back().unwrap();
            prop_assert_eq!(&end, &Position::proved(lineage(), *last, hashes.clone()));
        }
    }

    #[test]
    fn channels_left_out_leave_the_others_as_they_are(
        history in history(20),
        pieces in vec((1_usize..6, packing()), 1..4),
    ) {
        let spool = tempfile::tempdir().unwrap();
        let (mut ranges, _) = pack(&history, &pieces, spool.path());
        let keep = |channel: &ChannelName| channel.as_str() == "a";
        ranges.iter_mut().for_each(|range| range.channels.retain(|c| keep(&c.channel)));
        let start = Position::proved(lineage(), Lsn::ZERO, Default::default());
        let (seen, end) = read(&ranges, start).unwrap();
        prop_assert_eq!(seen, expected(&history, Lsn::ZERO, keep));
        prop_assert_eq!(end.lsn, history.last().unwrap().end);
    }

    #[test]
    fn a_reader_without_data_takes_the_histories_word(
        history in history(20),
        pieces in vec((1_usize..6, packing()), 1..4),
        from in any::<prop::sample::Index>(),
    ) {
        let spool = tempfile::tempdir().unwrap();
        let (ranges, _) = pack(&history, &pieces, spool.path());
        let after = history[from.index(history.len())].start;
        let first = ranges.iter().position(|range| range.through > after).unwrap();
        let (seen, _) = read(&ranges[first..], Position::trusting(lineage(), after)).unwrap();
        prop_assert_eq!(seen, expected(&history, after, |_| true));
    }
}
