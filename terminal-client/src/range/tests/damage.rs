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
    // Each file of a range goes with it.
    let spool = std::env::temp_dir();
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
    let (ranges, known) = pack(&history, &[(100, packing)], &std::env::temp_dir());
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
    assert!(matches!(error, RangeError::Foreign { .. }), "{error}");
    let orders2 = wire::SourceName::new("orders2").unwrap();
    let error = verify(&range, &orders2, &start()).unwrap_err();
    assert!(matches!(error, RangeError::Foreign { .. }), "{error}");
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

/// A header or a chunk that claims gigabytes is refused by what it claims, not when memory is filled.
#[test]
fn lying_lengths_in_a_file_are_refused_unread() {
    let spool = tempfile::tempdir().unwrap();
    let lie = 0x7FFF_FFFF_u32.to_be_bytes();
    let front = [b"TWOB\x00\x01".as_slice(), &lie, &[0; 100]].concat();
    let error = spooled(&front.into(), Hash::of(b""), spool.path()).open().unwrap_err();
    assert!(error.to_string().contains("a header above 4 MiB"), "{error}");

    let (range, _) = one(Packing::Objects);
    let Payload::Object(whole) = &range.channels[0].payload else { panic!() };
    let mut bytes = std::fs::read(whole.path()).unwrap();
    let payload = wire::ObjectReader::decode(bytes.clone().into()).unwrap().payload().len();
    let chunk = bytes.len() - payload;
    bytes[chunk + 4..chunk + 8].copy_from_slice(&lie);
    let (_, mut chunks) = spooled(&bytes.into(), Hash::of(b""), spool.path()).open().unwrap();
    let error = chunks.next_chunk().unwrap_err();
    assert!(error.to_string().contains("a chunk of 2147483647 stored bytes"), "{error}");
}

#[test]
fn a_huge_transaction_needs_its_own_parts() {
    let (range, _) = one(Packing::Huge(50));
    assert!(range.is_huge());
    let mut missing = range.clone();
    missing.channels[0].parts.pop();
    let error = verify(&missing, &source(), &start()).unwrap_err().to_string();
    assert!(error.contains("was not sent with it"), "{error}");

    // Whole objects, with right checksums, under the name of a part.
    let spool = tempfile::tempdir().unwrap();
    let (first, second) = (&range.channels[0].parts[0], &range.channels[0].parts[1]);
    let Payload::Object(records) = &range.channels[0].payload else { panic!() };
    for (other, words) in [(second.path(), "hash to"), (records.path(), "its kind differs")] {
        let bytes = Bytes::from(std::fs::read(other).unwrap());
        let mut changed = range.clone();
        changed.channels[0].parts[0] = spooled(&bytes, first.name(), spool.path());
        let error = verify(&changed, &source(), &start()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
