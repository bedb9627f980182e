//! Lost and flipped bytes stop with the position named; the rest is served.

use std::{
    fs,
    path::{Path, PathBuf},
};

use wire::{Lsn, Slice, SourceName};

use super::{
    fixture::{BEGIN, begun, get, open, pull, request, resumed, small, snapshot},
    reader::Reader,
    sealing::{fill, wait_sealed},
};
use crate::{
    feed::source,
    log::{Channels, Log, ReadError, Refusal},
};

fn newest_tail(folder: &Path) -> PathBuf {
    let tails = fs::read_dir(folder.join("tail")).unwrap();
    let newest = tails
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap());
    newest.unwrap()
}

async fn refuses_but_serves_what_is_whole(folder: &Path, acknowledged: Lsn) {
    let log = open(folder, small());
    let standing = log.standing();
    let damage = standing.damage.clone().expect("the damage is seen");
    assert!(damage.lsn < acknowledged, "{damage:?}");
    assert!(damage.detail.contains(&damage.lsn.to_string()), "{}", damage.detail);
    let refused = log.open_session(request(false)).await.unwrap_err();
    assert!(matches!(refused, Refusal::Damaged(_)));
    // Nor may the session that was open go on behind it.
    let (session, lineage) = (standing.session, standing.lineage);
    let next = Slice::progress(source(), lineage, damage.lsn, Lsn::MAX).unwrap();
    assert!(matches!(log.append(session, next).await, Err(Refusal::Damaged(_))));
    let refused = log.add_snapshot(session, snapshot(lineage, damage.lsn)).await;
    assert!(matches!(refused, Err(Refusal::Damaged(_))));
    for after in [damage.lsn, acknowledged] {
        let refused = get(&log, &pull(after, 1, Channels::All)).unwrap_err();
        assert!(matches!(refused, ReadError::Damaged(_)), "{refused}");
    }
    let mut reader = Reader::new(standing.lineage, BEGIN, Channels::All);
    assert!(matches!(reader.catch_up(&log, 1 << 20), Err(ReadError::Damaged(_))));
    assert_eq!(reader.at, damage.lsn);
    drop(log);
    // It stays so.
    let log = open(folder, small());
    assert_eq!(log.standing().damage.as_ref().unwrap().lsn, damage.lsn);
    let kept = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(kept.into_iter().any(|name| name.to_string_lossy().contains("damaged")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_tail_is_not_mistaken_for_an_empty_one() {
    for keep in [0, 100, 5000] {
        let folder = tempfile::tempdir().unwrap();
        let (log, session, mut feed) = begun(folder.path(), small()).await;
        fill(&log, session, &mut feed, 60).await;
        let head = log.standing().head.unwrap();
        drop(log);
        let db = newest_tail(folder.path()).join("db");
        fs::OpenOptions::new().write(true).open(db).unwrap().set_len(keep).unwrap();
        refuses_but_serves_what_is_whole(folder.path(), head).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_is_gone_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    fill(&log, session, &mut feed, 5).await;
    drop(log);
    fs::remove_dir_all(folder.path().join("tail")).unwrap();
    let log = open(folder.path(), small());
    let damage = log.standing().damage.clone().unwrap();
    assert_eq!(damage.lsn, BEGIN);
    assert!(damage.detail.contains("its newest part is lost"), "{}", damage.detail);
}

/// Wherever a byte of the tail is flipped: all is read as it was, or the damage is seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_the_tail_is_never_served() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    fill(&log, session, &mut feed, 12).await;
    let mut right = Reader::new(feed.lineage, BEGIN, Channels::All);
    right.catch_up(&log, 1 << 20).unwrap();
    let head = log.standing().head.unwrap();
    drop(log);
    let db = newest_tail(folder.path()).join("db");
    let whole = fs::read(&db).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut seen = 0;
    for step in 0..60 {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        let mut damaged = whole.clone();
        damaged[used * step / 60] ^= 0x10;
        let tail = copy.path().join("tail").join(db.parent().unwrap().file_name().unwrap());
        fs::write(tail.join("db"), damaged).unwrap();
        let Ok(Some(log)) = Log::open(copy.path(), &source(), small()) else {
            seen += 1;
            continue;
        };
        let mut reader = Reader::new(feed.lineage, BEGIN, Channels::All);
        match reader.catch_up(&log, 1 << 20) {
            Ok(()) => {
                assert_eq!(log.standing().head, Some(head), "byte {}", used * step / 60);
                assert_eq!(reader.commits, right.commits);
            }
            Err(ReadError::Damaged(_) | ReadError::Store(_)) => seen += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(seen > 20, "{seen} of 60");
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_file_that_cannot_be_read_stops_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    fill(&log, session, &mut feed, 3).await;
    drop(log);
    let head = folder.path().join("HEAD");
    let right = fs::read(&head).unwrap();
    fs::write(&head, &right[..10]).unwrap();
    let error = Log::open(folder.path(), &source(), small()).unwrap_err().to_string();
    assert!(error.contains("HEAD"), "{error}");
    fs::remove_file(&head).unwrap();
    assert!(Log::open(folder.path(), &source(), small()).is_err());
    // From an older copy it is a lower bound all the same.
    fs::write(&head, right).unwrap();
    assert_eq!(open(folder.path(), small()).standing().damage, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_tail_put_back_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    fill(&log, session, &mut feed, 3).await;
    drop(log);
    let backup = tempfile::tempdir().unwrap();
    copy_folder(&folder.path().join("tail"), backup.path());
    let log = open(folder.path(), small());
    let (session, mut feed) = resumed(&log).await;
    fill(&log, session, &mut feed, 3).await;
    let head = log.standing().head.unwrap();
    drop(log);
    fs::remove_dir_all(folder.path().join("tail")).unwrap();
    copy_folder(backup.path(), &folder.path().join("tail"));
    refuses_but_serves_what_is_whole(folder.path(), head).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_catalogue_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    fill(&log, session, &mut feed, 60).await;
    wait_sealed(&log, Lsn::new(1100));
    drop(log);
    let db = folder.path().join("catalog/db");
    fs::OpenOptions::new().write(true).open(&db).unwrap().set_len(0).unwrap();
    let error = Log::open(folder.path(), &source(), small()).unwrap_err().to_string();
    assert!(error.contains("catalog"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_is_gone_is_not_taken_for_a_new_source() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    fill(&log, session, &mut feed, 3).await;
    let head = log.standing().head.unwrap();
    drop(log);
    fs::remove_dir_all(folder.path().join("catalog")).unwrap();
    let error = Log::open(folder.path(), &source(), small()).unwrap_err().to_string();
    assert!(error.contains("has lost its content"), "{error}");
    assert!(error.contains(&head.to_string()), "{error}");
}

/// The same positions, and other rows behind them than those that were acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn another_history_in_its_place_is_noticed() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (folder, row) in [(&folder, b"ours"), (&other, b"else")] {
        let (log, session, mut feed) = begun(folder.path(), small()).await;
        log.append(session, feed.one(&[("a", row)])).await.unwrap();
    }
    fs::copy(other.path().join("HEAD"), folder.path().join("HEAD")).unwrap();
    let damage = open(folder.path(), small()).standing().damage.clone().unwrap();
    assert!(damage.detail.contains("another history was put in its place"), "{}", damage.detail);
    assert!(damage.detail.contains("0/44C"), "{}", damage.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_under_another_sources_name_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    fill(&log, session, &mut feed, 3).await;
    drop(log);
    let renamed = SourceName::new("orders2").unwrap();
    let log = Log::open(folder.path(), &renamed, small()).unwrap().unwrap();
    let damage = log.standing().damage.clone().unwrap();
    assert_eq!(damage.lsn, BEGIN);
    assert!(damage.detail.contains("of another source"), "{}", damage.detail);
}
