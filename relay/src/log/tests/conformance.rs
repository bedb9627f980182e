//! What every engine must do, whichever it is: here sled and plain files.

use std::{io::Write, path::Path};

use bytes::Bytes;
use wire::{Hash, Lineage, Lsn, Slice};

use super::{fixture::put, sealing::noise};
use crate::{
    feed::{Feed, source},
    log::{
        engine::{FileObjects, SledRecords, SledTail},
        error::StoreError,
        objects::Objects,
        range::ClosedRange,
        records::{RecordBatch, Records},
        tail::{Item, Tail},
    },
};

const TAIL_BYTES: u64 = 256 << 10;

fn feed() -> Feed {
    Feed::new(Lineage::from_bytes([1; 16]), Lsn::new(1000), Default::default())
}

fn big(feed: &mut Feed, len: usize) -> Slice {
    let row = noise(feed.at, len);
    feed.one(&[("a", &row)])
}

fn slice_at(tail: &dyn Tail, at: Lsn) -> Option<Slice> {
    let stored = tail.header(at).unwrap()?;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < stored.len {
        let piece = tail.piece(stored.header.through, bytes.len() as u64, usize::MAX).unwrap();
        bytes.extend_from_slice(&piece);
    }
    Some(Slice::decode(bytes.into()).unwrap())
}

fn read_all(tail: &dyn Tail, mut at: Lsn) -> Vec<Slice> {
    let mut found = Vec::new();
    while let Some(slice) = slice_at(tail, at) {
        at = slice.header().through;
        found.push(slice);
    }
    found
}

fn same(found: &[Slice], expected: &[Slice]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.bytes(), expected.bytes());
    }
}

fn tail_conforms(open: impl Fn() -> Box<dyn Tail>) {
    let mut feed = feed();
    let tail = open();
    assert!(tail.header(Lsn::ZERO).unwrap().is_none());
    assert!(tail.has_room() && tail.sealable().is_none());
    // Of no, one and many pieces, and just at a piece's edge.
    let mut kept = Vec::new();
    for len in [0, 1, 65_000, 65_400, 65_536, 400_000] {
        let slice = big(&mut feed, len);
        tail.append(Item::Slice(&slice), None).unwrap();
        kept.push(slice);
    }
    tail.sync().unwrap();
    same(&read_all(&*tail, Lsn::new(1000)), &kept);
    same(&read_all(&*tail, Lsn::new(1150)), &kept[1..]);
    for slice in &kept {
        let stored = tail.header(slice.header().after).unwrap().unwrap();
        assert_eq!(&stored.header, slice.header());
        assert_eq!(stored.len, slice.bytes().len() as u64);
        let payload = tail.piece(slice.header().through, stored.payload_at, 7).unwrap();
        let at = usize::try_from(stored.payload_at).unwrap();
        assert_eq!(payload, slice.bytes()[at..at + payload.len()]);
    }
    // A closed range, of one piece and of many.
    let at = feed.at;
    for parts in [0, 5000] {
        let slice = feed.one(&[("a", b"1")]);
        let mut header = slice.header().clone();
        let name = Hash::of(b"part");
        header.channels[0].parts = vec![wire::PartObject { name, len: 7 }; parts];
        let objects = vec![wire::PartObject { name, len: 9 }];
        let range = ClosedRange { header, objects };
        tail.append(Item::Range(&range), None).unwrap();
        let stored = tail.header(range.header.after).unwrap().unwrap();
        assert_eq!(stored.into_range(), Some(range));
    }
    tail.reopen().unwrap();
    assert!(tail.header(Lsn::new(at)).unwrap().unwrap().objects.is_some());
    let mut feed = Feed::new(feed.lineage, Lsn::new(feed.at), Default::default());
    let from = Lsn::new(feed.at);
    let mut kept = Vec::new();
    // A progress slice gives way to the next.
    let first = feed.progress();
    tail.append(Item::Slice(&first), None).unwrap();
    let joined = feed.progress().extended_back(first.header().after).unwrap();
    tail.append(Item::Slice(&joined), Some(first.header().through)).unwrap();
    kept.push(joined);
    tail.sync().unwrap();
    same(&read_all(&*tail, from), &kept);
    drop(tail);
    let tail = open();
    same(&read_all(&*tail, from), &kept);
    tail.reopen().unwrap();
    same(&read_all(&*tail, from), &kept);
    trimming(&*tail, &mut feed, kept);
}

fn trimming(tail: &dyn Tail, feed: &mut Feed, mut kept: Vec<Slice>) {
    let mut refilled = 0;
    while refilled < 5 {
        if !tail.has_room() {
            let sealable = tail.sealable().expect("what takes the room can be sealed");
            tail.trim(sealable).unwrap();
            kept.retain(|slice| slice.header().through > sealable);
            assert!(tail.has_room());
            refilled += 1;
        }
        let slice = big(feed, 20_000);
        tail.append(Item::Slice(&slice), None).unwrap();
        kept.push(slice);
        let from = kept[0].header().after;
        same(&read_all(tail, from), &kept);
    }
    assert!(tail.disk_bytes() > 0);
    // What went is not mistaken for something else.
    let gone = tail.header(Lsn::new(1000)).unwrap();
    assert!(gone.is_none_or(|stored| stored.header.after > Lsn::new(1000)));
    assert!(matches!(tail.piece(Lsn::new(1100), 0, 10), Err(StoreError::Moved { .. })));
}

#[test]
fn sled_keeps_a_tail() {
    let folder = tempfile::tempdir().unwrap();
    tail_conforms(|| Box::new(SledTail::open(folder.path(), &source(), TAIL_BYTES).unwrap()));
}

/// Found by killing: a database that was half removed came back as an empty one, and the tail had no
/// room for ever.
#[test]
fn what_an_interrupted_drop_leaves_takes_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut feed = feed();
    SledTail::open(folder.path(), &source(), TAIL_BYTES).unwrap();
    std::fs::rename(folder.path().join("0"), folder.path().join("2")).unwrap();
    std::fs::create_dir_all(folder.path().join("0.dropped/blobs")).unwrap();
    std::fs::create_dir_all(folder.path().join("1/blobs")).unwrap();
    let tail = SledTail::open(folder.path(), &source(), TAIL_BYTES).unwrap();
    assert!(!folder.path().join("0.dropped").exists());
    while tail.has_room() {
        tail.append(Item::Slice(&big(&mut feed, 20_000)), None).unwrap();
    }
    tail.trim(tail.sealable().unwrap()).unwrap();
    assert!(tail.has_room());
}

fn keys(records: &dyn Records, prefix: &[u8]) -> Vec<Vec<u8>> {
    records.keys(prefix).unwrap().iter().map(|key| key.to_vec()).collect()
}

fn records_conform(open: impl Fn() -> Box<dyn Records>) {
    let records = open();
    let values = [&b"rb"[..], b"ra-name", b"ra", b"s1", b"ra-n"];
    let mut batch = RecordBatch::default();
    for (n, key) in (0_u64..).zip(values) {
        // Of any length: none, one piece, several.
        batch.put(
            key.to_vec(),
            noise(n, [0, 10, 61_000, 200_000, 61_427][usize::try_from(n).unwrap()]),
        );
    }
    records.write(batch).unwrap();
    let check = |records: &dyn Records| {
        assert_eq!(records.get(b"rb").unwrap(), Some(Bytes::new()));
        assert_eq!(records.get(b"s1").unwrap().unwrap(), noise(3, 200_000));
        assert_eq!(records.get(b"r").unwrap(), None);
        assert_eq!(keys(records, b"r"), [&b"ra"[..], b"ra-n", b"ra-name", b"rb"]);
        let (key, value) = records.next(b"r", b"ra-n").unwrap().unwrap();
        assert_eq!((key.as_ref(), value.len()), (&b"ra-name"[..], 10));
        assert_eq!(records.next(b"r", b"rb").unwrap(), None);
        assert_eq!(records.next(b"r", b"r").unwrap().unwrap().0.as_ref(), b"ra");
    };
    check(&*records);
    records.reopen().unwrap();
    check(&*records);
    drop(records);
    let records = open();
    check(&*records);
    // A shorter value leaves nothing of the longer one.
    let mut batch = RecordBatch::default();
    batch.put(b"s1".to_vec(), b"short".to_vec());
    batch.remove(b"ra".to_vec());
    batch.remove(b"not there".to_vec());
    records.write(batch).unwrap();
    assert_eq!(records.get(b"s1").unwrap().unwrap(), b"short".as_ref());
    assert_eq!(keys(&*records, b"s"), [b"s1"]);
    assert_eq!(keys(&*records, b"r"), [&b"ra-n"[..], b"ra-name", b"rb"]);
}

#[test]
fn sled_keeps_records() {
    let folder = tempfile::tempdir().unwrap();
    records_conform(|| Box::new(SledRecords::open(&folder.path().join("c")).unwrap()));
}

fn objects_conform(open: impl Fn() -> Box<dyn Objects>) {
    let objects = open();
    let content = noise(1, 300_000);
    let name = Hash::of(&content);
    assert_eq!(objects.len(name).unwrap(), None);
    assert_eq!(objects.stamp(name).unwrap(), None);
    let mut spool = objects.spool().unwrap();
    for piece in content.chunks(1000) {
        spool.write_all(piece).unwrap();
    }
    assert_eq!(spool.read_at(299_990, 100).unwrap(), content[299_990..]);
    assert_eq!(spool.read_at(300_000, 100).unwrap(), Bytes::new());
    assert_eq!(objects.len(name).unwrap(), None, "not before it is kept");
    spool.keep(name).unwrap();
    let check = |objects: &dyn Objects| {
        assert_eq!(objects.len(name).unwrap(), Some(300_000));
        assert_eq!(objects.read(name, 0, usize::MAX).unwrap(), content);
        assert_eq!(objects.read(name, 1000, 10).unwrap(), content[1000..1010]);
        assert_eq!(objects.disk_bytes(), 300_000);
        assert!(objects.stamp(name).unwrap().is_some());
    };
    check(&*objects);
    // Again, and once begun but not kept.
    put(&*objects, name, &content);
    let mut again = objects.spool().unwrap();
    again.write_all(&content).unwrap();
    again.keep(name).unwrap();
    let mut dropped = objects.spool().unwrap();
    dropped.write_all(b"dropped").unwrap();
    drop(dropped);
    check(&*objects);
    drop(objects);
    let objects = open();
    check(&*objects);
    objects.remove(name).unwrap();
    objects.remove(name).unwrap();
    assert_eq!((objects.len(name).unwrap(), objects.disk_bytes()), (None, 0));
}

#[test]
fn files_keep_objects() {
    let folder = tempfile::tempdir().unwrap();
    objects_conform(|| Box::new(FileObjects::open(&folder.path().join("o")).unwrap()));
}

#[test]
fn nothing_unfinished_stays() {
    let folder = tempfile::tempdir().unwrap();
    let open = || FileObjects::open(folder.path()).unwrap();
    let mut spool = open().spool().unwrap();
    spool.write_all(b"half").unwrap();
    // As a crash would leave it.
    std::mem::forget(spool);
    let unfinished = |folder: &Path| std::fs::read_dir(folder.join("tmp")).unwrap().count();
    assert_eq!(unfinished(folder.path()), 1);
    assert_eq!(open().disk_bytes(), 0);
    assert_eq!(unfinished(folder.path()), 0);
}
