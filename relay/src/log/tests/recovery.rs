//! What is found out about a tail when a log is opened, whatever engine keeps it.

use bytes::Bytes;
use wire::{ChannelHashes, Lsn, Slice, SliceHeader};

use super::fixture::{BEGIN, begun, small};
use crate::{
    feed::{Feed, source},
    log::{
        damage::Damage,
        error::StoreError,
        head::{Head, digest},
        recover::recover,
        tail::{Item, StoredHeader, Tail},
    },
};

/// A tail that gives these headers, and the bytes of all items but of the one that ends at `damaged`.
#[derive(Debug)]
struct Given {
    headers: Vec<SliceHeader>,
    damaged: Option<Lsn>,
}

impl Tail for Given {
    fn append(&self, _: Item<'_>, _: Option<Lsn>) -> Result<(), StoreError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn header(&self, position: Lsn) -> Result<Option<StoredHeader>, StoreError> {
        let found = self.headers.iter().find(|header| header.through > position).cloned();
        let stored = |header| StoredHeader { header, objects: None, payload_at: 1, len: 9 };
        Ok(found.map(stored))
    }

    fn piece(&self, through: Lsn, _: u64, _: usize) -> Result<Bytes, StoreError> {
        match self.damaged {
            Some(damaged) if damaged == through => {
                Err(StoreError::corrupt("slice", None, "a checksum does not match"))
            }
            _ => Ok(Bytes::from_static(b"123456789")),
        }
    }

    fn sealable(&self) -> Option<Lsn> {
        None
    }

    fn has_room(&self) -> bool {
        true
    }

    fn trim(&self, _: Lsn) -> Result<(), StoreError> {
        Ok(())
    }

    fn reopen(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_tail_is_named_with_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _, mut feed) = begun(folder.path(), small()).await;
    let mut other = Feed::new(feed.lineage, BEGIN, Default::default());
    other.one(&[("a", b"another")]);
    let other = other.one(&[("a", b"2")]);
    let slices = [b"1", b"2", b"3"].map(|row| feed.one(&[("a", row)]));
    let found = |slices: &[&Slice], damaged: Option<u64>| -> (Option<Lsn>, Option<Damage>) {
        let headers = slices.iter().map(|slice| slice.header().clone()).collect();
        let tail = Given { headers, damaged: damaged.map(Lsn::new) };
        let nothing = Head { lsn: Lsn::ZERO, hash: digest(&ChannelHashes::default()) };
        let standing = recover(&source(), log.catalog(), &tail, nothing).unwrap().unwrap();
        (standing.head, standing.damage)
    };
    let [one, two, three] = &slices;
    assert_eq!(found(&[one, two, three], None), (Some(Lsn::new(1300)), None));
    for (slices, damaged, what) in [
        (
            &[one, three][..],
            None,
            "gap in the log at 0/44C: the next slice there is begins at 0/4B0",
        ),
        (&[one, &other, three], None, "the slice's hash before is not the log's hash"),
        (&[one, two, three], Some(1200), "a checksum does not match"),
    ] {
        let (head, damage) = found(slices, damaged);
        let damage = damage.unwrap();
        assert_eq!((head, damage.lsn), (Some(Lsn::new(1100)), Lsn::new(1100)), "{what}");
        assert!(damage.detail.contains(what), "{what}: {}", damage.detail);
        assert!(damage.detail.contains("Everything up to 0/44C is whole"), "{}", damage.detail);
    }
}
