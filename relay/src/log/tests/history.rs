//! Invariants 3 and 5 over what is on disk: whoever put another history there is found out when the
//! log is opened, and by the terminals wherever it is read from.

use std::path::Path;

use wire::{Hash, Lsn, Slice};

use super::{
    fixture::{BEGIN, begun, get, open, pull, small},
    sealing::{fill, wait_sealed},
};
use crate::{
    feed::{Feed, channel, source},
    log::{
        Channels, Log, ReadError,
        engine::SledTail,
        head::{Head, HeadFile},
        tail::{Item, Tail},
    },
};

/// The log of one slice, closed.
async fn one_slice(folder: &Path) -> Feed {
    let (log, session, mut feed) = begun(folder, small()).await;
    log.append(session, feed.one(&[("a", b"1")])).await.unwrap();
    feed
}

/// Puts a slice into the tail of a closed log, past all checks.
fn smuggle(folder: &Path, slice: &Slice) {
    let tail = SledTail::open(&folder.join("tail"), &source(), small().tail_bytes).unwrap();
    tail.append(Item::Slice(slice), None).unwrap();
    tail.sync().unwrap();
}

fn is_damaged(folder: &Path, words: &str) {
    let standing = open(folder, small()).standing();
    let damage = standing.damage.as_ref().expect("the damage is seen");
    assert_eq!(damage.lsn, Lsn::new(1100));
    assert!(damage.detail.contains(words), "{}", damage.detail);
}

#[tokio::test]
async fn a_gap_on_disk_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut feed = one_slice(folder.path()).await;
    let _lost = feed.one(&[("a", b"2")]);
    smuggle(folder.path(), &feed.one(&[("a", b"3")]));
    is_damaged(folder.path(), "gap in the log");
}

#[tokio::test]
async fn a_slice_of_another_history_on_disk_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let feed = one_slice(folder.path()).await;
    let mut other = Feed::new(feed.lineage, BEGIN, Default::default());
    other.one(&[("a", b"X")]);
    smuggle(folder.path(), &other.one(&[("a", b"2")]));
    is_damaged(folder.path(), "do not share this history");
}

#[tokio::test]
async fn another_history_up_to_what_was_acknowledged_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    one_slice(folder.path()).await;
    let (mut head, acknowledged) = HeadFile::open(&folder.path().join("HEAD")).unwrap();
    assert_eq!(acknowledged.lsn, Lsn::new(1100));
    head.write(Head { hash: Hash::of(b"other"), ..acknowledged }).unwrap();
    is_damaged(folder.path(), "another history was put in its place");
}

fn is_other_history(log: &Log) {
    let mut asked = pull(BEGIN, 1 << 20, Channels::All);
    asked.hashes = vec![(channel("a"), Hash::of(b"other"))];
    let answer = get(log, &asked);
    assert!(matches!(answer, Err(ReadError::OtherHistory { .. })), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_of_another_history_is_refused_wherever_it_reads_from() {
    let folder = tempfile::tempdir().unwrap();
    one_slice(folder.path()).await;
    // From the tail: nothing is in memory yet.
    is_other_history(&open(folder.path(), small()));
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    fill(&log, session, &mut feed, 100).await;
    wait_sealed(&log, BEGIN);
    is_other_history(&log);
}
