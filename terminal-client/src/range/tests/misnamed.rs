//! Objects that are whole, and are not what the manifest says of them.

use proptest::strategy::{Strategy, ValueTree};
use wire::{
    Change, ChannelHashes, Hash, Lineage, Lsn, ManifestRange, Slice, SliceBuilder, SourceName,
    TransactionEncoder, TransactionHeader,
};

use super::{
    super::{ChannelFiles, Range},
    history::{channel, encode, history, lineage, source},
    merging::read,
    packing::listed,
};
use crate::position::Position;

fn slice() -> Slice {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let made = history(20).new_tree(&mut runner).unwrap().current();
    let mut builder =
        SliceBuilder::new(source(), lineage(), Lsn::ZERO, ChannelHashes::default(), 1);
    for made in &made {
        builder.push(made.start, made.end, &encode(made), &[]).unwrap();
    }
    builder.finish(made.last().unwrap().end).unwrap()
}

/// Why a range as fetched is refused, after `change` of what the manifest says.
fn refused(
    source: SourceName,
    lineage: Lineage,
    change: impl FnOnce(&mut ManifestRange, &mut Vec<ChannelFiles>),
) -> Option<String> {
    let spool = tempfile::tempdir().unwrap();
    let (mut range, mut files) = listed(&slice(), Vec::new(), spool.path());
    change(&mut range, &mut files);
    Range::from_objects(source, lineage, &range, files).err().map(|error| error.to_string())
}

#[test]
fn each_object_is_what_the_manifest_says() {
    let ours = |change: &dyn Fn(&mut ManifestRange, &mut Vec<ChannelFiles>)| {
        refused(source(), lineage(), change)
    };
    assert_eq!(ours(&|_, _| {}), None);
    let says = |refused: Option<String>, what: &str| {
        let refused = refused.unwrap_or_default();
        assert!(refused.contains(what) && refused.contains("0/0"), "{what}: {refused}");
    };
    let orders2 = SourceName::new("orders2").unwrap();
    says(refused(orders2, lineage(), |_, _| {}), "its source or lineage differs");
    let other = Lineage::from_bytes([8; 16]);
    says(refused(source(), other, |_, _| {}), "its source or lineage differs");
    let renamed = ours(&|range, _| range.channels[0].channel = channel(1));
    says(renamed, "its channel differs");
    let before = ours(&|range, _| range.channels[0].before = Hash::of(b"other"));
    says(before, "its hashes differs");
    let after = ours(&|range, _| range.channels[0].after = Hash::of(b"other"));
    says(after, "its hashes differs");
    says(ours(&|_, files| files.swap(0, 1)), "its channel differs");
}

/// One channel's share of a transaction of so many changes.
fn share(at: usize, xid: u32, changes: usize) -> Range {
    let mut encoder = TransactionEncoder::new(TransactionHeader { xid, commit_time_us: 1 });
    let (prefix, content) = ("p".to_owned(), bytes::Bytes::from_static(b"content"));
    let change = Change::Message { prefix, content, transactional: true };
    (0..changes).for_each(|_| encoder.push(&channel(at), &change));
    let mut builder =
        SliceBuilder::new(source(), lineage(), Lsn::ZERO, ChannelHashes::default(), 1);
    builder.push(Lsn::new(90), Lsn::new(100), &encoder.finish(), &[]).unwrap();
    Range::from_slice(&builder.finish(Lsn::new(100)).unwrap(), |_| true)
}

/// Each channel is right by its own hash; that they belong together shows only when they are merged.
#[test]
fn channels_that_do_not_tell_of_one_transaction() {
    for (other, what) in [(share(1, 8, 1), "transaction id"), (share(1, 7, 1), "order of changes")]
    {
        let mut range = share(0, 7, 2);
        range.channels.extend(other.channels);
        let start = Position::proved(lineage(), Lsn::ZERO, ChannelHashes::default());
        let error = read(&[range], start).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("0/64"), "{what}: {error}");
    }
}

#[test]
fn the_last_position_that_was_right_is_named() {
    let mut range = share(0, 7, 1);
    range.channels[0].transactions += 1;
    let start = Position::proved(lineage(), Lsn::ZERO, ChannelHashes::default());
    let error = read(&[range], start).unwrap_err().to_string();
    assert!(error.contains("source orders, channel a, after 0/64"), "{error}");
}
