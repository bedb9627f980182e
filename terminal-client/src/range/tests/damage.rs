//! Whatever is wrong is found before anything of the range is read, and named.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*, strategy::ValueTree};
use wire::{ChannelHashes, Hash, Lineage, Lsn};

use super::{
    super::{Payload, Range, RangeError, verify},
    history::{history, lineage, source},
    merging::{packing, read},
    packing::{Packing, pack, spooled},
};
use crate::position::Position;

fn start() -> Position {
    Position::proved(lineage(), Lsn::ZERO, ChannelHashes::default())
}

fn flipped(bytes: &Bytes, at: prop::sample::Index, bit: u8) -> Bytes {
    let mut bytes = bytes.to_vec();
    let at = at.index(bytes.len());
    bytes[at] ^= 1 << (bit % 8);
    bytes.into()
}

/// Damages one file or payload of a range: a flipped bit, or the end cut off.
fn damage(range: &mut Range, which: prop::sample::Index, at: prop::sample::Index, bit: u8) {
    let spool = tempfile::tempdir().unwrap().keep();
    let channel = &mut range.channels[0];
    let change = |bytes: Bytes| {
        if bit < 8 { flipped(&bytes, at, bit) } else { bytes.slice(..at.index(bytes.len())) }
    };
    if let Some(part) = channel.parts.get_mut(which.index(8)) {
        let bytes = Bytes::from(std::fs::read(part.path()).unwrap());
        *part = spooled(&change(bytes), part.name(), &spool);
        return;
    }
    channel.payload = match &channel.payload {
        Payload::Memory(bytes) => Payload::Memory(change(bytes.clone())),
        Payload::Object(file) => {
            let bytes = Bytes::from(std::fs::read(file.path()).unwrap());
            Payload::Object(spooled(&change(bytes), file.name(), &spool))
        }
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn damaged_bytes_are_found(
        history in history(12),
        packing in packing(),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..10,
    ) {
        let spool = tempfile::tempdir().unwrap();
        let (mut ranges, _) = pack(&history, &[(100, packing)], spool.path());
        damage(&mut ranges[0], which, at, bit);
        let error = verify(&ranges[0], &source(), &start()).unwrap_err();
        prop_assert!(!error.is_fork(), "{error}");
        prop_assert!(error.to_string().contains("orders"), "{error}");
    }

    #[test]
    fn a_missing_range_is_a_gap(
        history in history(20),
        pieces in vec((1_usize..4, packing()), 1..4),
    ) {
        let spool = tempfile::tempdir().unwrap();
        let (ranges, _) = pack(&history, &pieces, spool.path());
        prop_assume!(ranges.len() > 1);
        let error = read(&ranges[1..], start()).unwrap_err();
        prop_assert!(matches!(error, RangeError::Gap { .. }), "{error}");
    }
}

fn one(packing: Packing) -> (Range, Vec<(Lsn, ChannelHashes)>) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let history = history(20).new_tree(&mut runner).unwrap().current();
    let spool = tempfile::tempdir().unwrap().keep();
    let (ranges, known) = pack(&history, &[(100, packing)], &spool);
    (ranges[0].clone(), known.into_iter().collect())
}

#[test]
fn another_history_is_told_from_damage() {
    let (range, known) = one(Packing::Slice);
    let mut other = known[known.len() / 2].clone();
    let touched = range.channels[0].channel.clone();
    other.1.set(touched, Hash::of(b"another history"));
    let error = verify(&range, &source(), &Position::proved(lineage(), other.0, other.1));
    assert!(matches!(error, Err(RangeError::Fork { .. })), "{error:?}");
    let foreign = Position::proved(Lineage::from_bytes([8; 16]), Lsn::ZERO, Default::default());
    let error = verify(&range, &source(), &foreign).unwrap_err();
    assert!(error.is_fork(), "{error}");
}

#[test]
fn claims_that_the_records_do_not_bear_out_are_refused() {
    let (range, _) = one(Packing::Objects);
    let verified = |change: &dyn Fn(&mut Range)| {
        let mut changed = range.clone();
        change(&mut changed);
        verify(&changed, &source(), &start()).map_err(|error| error.to_string())
    };
    assert!(verified(&|_| {}).is_ok());
    for (change, words) in [
        (
            &(|range: &mut Range| range.channels[0].transactions += 1) as &dyn Fn(&mut Range),
            "claimed",
        ),
        (&|range: &mut Range| range.channels[0].after = Hash::of(b""), "claims"),
        (&|range: &mut Range| range.channels[0].before = Hash::of(b""), "do not share a history"),
        (&|range: &mut Range| range.through = Lsn::new(1001), "must follow"),
    ] {
        let error = verified(change).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_huge_transaction_needs_its_own_parts() {
    let (range, _) = one(Packing::Huge(50));
    assert!(range.is_huge());
    let mut missing = range.clone();
    missing.channels[0].parts.pop();
    let error = verify(&missing, &source(), &start()).unwrap_err().to_string();
    assert!(error.contains("was not sent with it"), "{error}");
}
