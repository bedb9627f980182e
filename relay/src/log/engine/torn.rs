//! A slice of several pieces of which a crash left only some.

use wire::{Lineage, Lsn, Slice};

use super::{
    chunk::key,
    database::{Batch, Database},
    tail::SledTail,
};
use crate::{
    feed::{Feed, source},
    log::tail::{Item, Tail},
};

#[test]
fn what_has_no_first_piece_was_never_there() {
    let folder = tempfile::tempdir().unwrap();
    let open = || SledTail::open(folder.path(), &source(), 1 << 20).unwrap();
    let mut feed = Feed::new(Lineage::from_bytes([1; 16]), Lsn::new(1000), Default::default());
    let whole = feed.one(&[("a", b"1")]);
    let mut again = Feed::new(feed.lineage, Lsn::new(feed.at), Default::default());
    let noise: Vec<u8> =
        (0..200_000_u32).flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_be_bytes()).collect();
    let torn = feed.one(&[("a", &noise)]);
    let tail = open();
    let end = |slice: &Slice| slice.header().through;
    let append = |tail: &SledTail, slice| tail.append(Item::Slice(slice), None).unwrap();
    append(&tail, &whole);
    append(&tail, &torn);
    tail.sync().unwrap();
    drop(tail);
    let database = Database::open(&folder.path().join("0")).unwrap();
    assert!(database.get(&key(end(&torn), 1)).unwrap().is_some(), "it has several pieces");
    let mut cut = Batch::default();
    cut.remove(&key(end(&torn), 0));
    database.apply(cut).unwrap();
    database.sync().unwrap();
    drop(database);

    let tail = open();
    let found = tail.header(Lsn::new(1000)).unwrap().unwrap();
    assert_eq!(found.header.through, end(&whole));
    assert!(tail.header(end(&whole)).unwrap().is_none());
    // What capture brings again may be cut otherwise.
    let smaller = again.progress();
    append(&tail, &smaller);
    let found = tail.header(end(&whole)).unwrap().unwrap();
    assert_eq!(found.header, *smaller.header());
}
