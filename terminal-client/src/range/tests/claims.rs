//! What a range or a manifest says that is not so, with every checksum right.

use bytes::Bytes;
use wire::{
    ChannelHashes, Hash, Lineage, Lsn, Record, RecordWriter, Records, SliceBuilder, SourceName,
    TransactionHeader, Value,
};

use super::{
    super::{Payload, Range, RangeError, verify},
    history::{Decoded, Made, channel, encode, lineage, relation, source},
    merging::read,
    packing::{Packing, listed, pack},
};
use crate::position::Position;

fn start() -> Position {
    Position::proved(lineage(), Lsn::ZERO, ChannelHashes::default())
}

/// An insert into table `at`, which is in channel `at`.
fn insert(at: usize) -> (wire::ChannelName, Decoded) {
    let relation = relation(at);
    let new = relation.columns.iter().map(|_| Value::Text(Bytes::from_static(b"x"))).collect();
    (channel(at), Decoded::Insert { relation, new })
}

/// A transaction that ends at `end` and touches these channels in this order.
fn made(end: u64, xid: u32, touched: &[usize]) -> Made {
    let header = TransactionHeader { xid, commit_time_us: 0 };
    let changes = touched.iter().map(|at| insert(*at)).collect();
    Made { start: Lsn::new(end - 1), end: Lsn::new(end), header, changes }
}

fn packed(history: &[Made], packing: Packing) -> Range {
    // Each file of a range goes with it.
    pack(history, &[(100, packing)], &std::env::temp_dir()).0.remove(0)
}

fn refused(result: Result<impl std::fmt::Debug, RangeError>, words: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}

/// Even where no hash could tell: the range only moves the position.
#[test]
fn another_source_or_lineage_is_refused() {
    let mut range = packed(&[made(10, 1, &[0])], Packing::Slice);
    range.channels.clear();
    let other = Lineage::from_bytes([8; 16]);
    for (source, lineage) in [(SourceName::new("stock").unwrap(), lineage()), (source(), other)] {
        let own = Position::proved(lineage, Lsn::ZERO, ChannelHashes::default());
        let error = verify(&range, &source, &own).unwrap_err();
        assert!(matches!(error, RangeError::Foreign { .. }), "{error}");
    }
}

/// The own position at the very end of a range: there is nothing to apply, and yet it is compared.
#[test]
fn another_history_is_found_out_where_nothing_is_left_to_apply() {
    let range = packed(&[made(10, 1, &[0])], Packing::Slice);
    let mut hashes = ChannelHashes::default();
    hashes.set(channel(0), Hash::of(b"another history"));
    let own = Position::proved(lineage(), Lsn::new(10), hashes);
    let error = verify(&range, &source(), &own).unwrap_err();
    assert!(matches!(error, RangeError::Fork { .. }), "{error}");
}

#[test]
fn commits_out_of_order_or_twice_are_refused() {
    for ends in [[20, 10, 30], [10, 10, 30]] {
        let range = packed(&ends.map(|end| made(end, 1, &[0])), Packing::Slice);
        refused(verify(&range, &source(), &start()), "must follow");
    }
}

/// Each channel is right by itself, but they are not of one transaction.
#[test]
fn channels_that_disagree_on_a_transaction_are_refused() {
    let range = packed(&[made(10, 1, &[0, 1])], Packing::Slice);
    for (other, words) in [(made(10, 2, &[0, 1]), "id"), (made(10, 1, &[1, 0]), "order")] {
        let mut mixed = range.clone();
        mixed.channels[1] = packed(&[other], Packing::Slice).channels[1].clone();
        verify(&mixed, &source(), &start()).unwrap();
        refused(read(&[mixed], start()), words);
    }
}

/// A run of so many bytes less would be read without its end.
#[test]
fn a_huge_transaction_is_as_long_as_it_says() {
    let mut range = packed(&[made(10, 1, &[0, 0])], Packing::Huge(50));
    let mut chunks = range.channels[0].payload.chunks().unwrap();
    let mut writer = RecordWriter::new(1).unwrap();
    while let Some(chunk) = chunks.next_chunk().unwrap() {
        for record in Records::new(chunk) {
            let mut record = record.unwrap();
            if let Record::Huge(huge) = &mut record {
                huge.raw_len -= 1;
            }
            writer.record(&record).unwrap();
        }
    }
    range.channels[0].payload = Payload::Memory(writer.finish().unwrap().0.into());
    refused(verify(&range, &source(), &start()), "damaged");
}

#[test]
fn objects_that_are_not_those_of_the_manifest_are_refused() {
    let spool = tempfile::tempdir().unwrap();
    let mut builder =
        SliceBuilder::new(source(), lineage(), Lsn::ZERO, ChannelHashes::default(), 1);
    let made = made(10, 1, &[0, 1]);
    builder.push(made.start, made.end, &encode(&made), &[]).unwrap();
    let slice = builder.finish(made.end).unwrap();
    let list = || listed(&slice, Vec::new(), spool.path());
    let (range, files) = list();
    assert!(Range::from_objects(source(), lineage(), &range, files).is_ok());
    let stranger = SourceName::new("stock").unwrap();
    let other = Lineage::from_bytes([8; 16]);
    for (source, lineage) in [(stranger, lineage()), (source(), other)] {
        let (range, files) = list();
        refused(Range::from_objects(source, lineage, &range, files), "its source or lineage");
    }
    let (range, mut files) = list();
    files.swap(0, 1);
    refused(Range::from_objects(source(), lineage(), &range, files), "its channel");
    for before in [true, false] {
        let (mut range, files) = list();
        let claimed = &mut range.channels[0];
        *(if before { &mut claimed.before } else { &mut claimed.after }) = Hash::of(b"other");
        refused(Range::from_objects(source(), lineage(), &range, files), "its hashes");
    }
}
