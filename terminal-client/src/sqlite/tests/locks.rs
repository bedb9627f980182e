use std::time::{Duration, Instant};

use super::{
    super::{SqliteFile, SqliteTarget},
    given::{Place, insert, items, relation, source, stored},
};
use crate::target::{StoredState, Target, TargetError};

const SOON: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_second_run_on_the_same_source_does_not_get_the_lock() {
    let place = Place::new();
    let other = wire::SourceName::new("other").unwrap();
    let mut first = place.open().await;
    let mut second = place.open().await;
    assert!(first.lock(&source(), SOON).await.unwrap());
    assert!(first.lock(&source(), SOON).await.unwrap(), "it is its own");
    assert!(!second.lock(&source(), SOON).await.unwrap());
    assert!(second.lock(&other, SOON).await.unwrap(), "another source, another lock");
    let mut third = place.open().await;
    drop(first);
    assert!(third.lock(&source(), SOON).await.unwrap());
}

#[tokio::test]
async fn the_lock_is_found_through_another_name_of_the_file() {
    let place = Place::new();
    let mut first = place.open().await;
    assert!(first.lock(&source(), SOON).await.unwrap());
    let link = place.folder.path().join("link.db");
    std::os::unix::fs::symlink(&place.path, &link).unwrap();
    let link = SqliteFile::new(link.to_str().unwrap()).unwrap();
    let mut second = SqliteTarget::open(&link).await.unwrap();
    assert!(!second.lock(&source(), SOON).await.unwrap());
}

#[tokio::test]
async fn waits_for_another_program_and_then_says_so() {
    let place = Place::new();
    place.loaded(&[(items(), "")]).await;
    let writer = place.look();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut file = place.file();
    file.busy_timeout = Duration::from_millis(300);
    let mut target = SqliteTarget::open(&file).await.unwrap();
    let began = Instant::now();
    let error = target.begin().await.unwrap_err();
    assert!(began.elapsed() >= file.busy_timeout);
    assert!(matches!(error, TargetError::Busy { .. }) && error.is_transient(), "{error}");
    assert!(error.to_string().contains("another program that is writing"), "{error}");
    writer.execute_batch("COMMIT").unwrap();
    target.stored(&source()).await.unwrap();
    target.begin().await.unwrap();
    target.apply(vec![insert(&relation(&items()), &["1", "a", "1"])]).await.unwrap();
    target.commit(&source(), &stored(200, StoredState::Ready)).await.unwrap();
}

#[tokio::test]
async fn a_target_that_waits_can_be_dropped() {
    let place = Place::new();
    place.loaded(&[(items(), "")]).await;
    let writer = place.look();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut target = place.open().await;
    let began = Instant::now();
    assert!(tokio::time::timeout(SOON, target.begin()).await.is_err());
    drop(target);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn readers_never_wait_and_never_stop_us() {
    let place = Place::new();
    place.loaded(&[(items(), "1\ta\t1\n")]).await;
    let reader = place.look();
    reader.execute_batch("BEGIN").unwrap();
    let count = |of: &rusqlite::Connection| -> i64 {
        of.query_row("SELECT count(*) FROM items", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&reader), 1);
    place.apply(vec![insert(&relation(&items()), &["2", "b", "2"])]).await.unwrap();
    assert_eq!(count(&reader), 1, "a reader sees the file as at its beginning");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&reader), 2);
}

#[tokio::test]
async fn files_that_cannot_be_opened() {
    let place = Place::new();
    let error = |file: SqliteFile| async move {
        SqliteTarget::open(&file).await.map(|_| ()).unwrap_err().to_string()
    };
    let mut missing = place.file();
    missing.create = false;
    assert!(error(missing).await.contains("there is no such file"));
    assert!(!place.path.exists(), "looking makes no file");
    let nowhere = SqliteFile::new(place.folder.path().join("no/x.db").to_str().unwrap()).unwrap();
    assert!(error(nowhere).await.contains("create its folder"));
    std::fs::write(&place.path, "this is a text, not a database, and longer than a header")
        .unwrap();
    let text = error(place.file()).await;
    assert!(text.contains("file is not a database") && text.contains("of a new file"), "{text}");
    let folder = SqliteFile::new(place.folder.path().to_str().unwrap()).unwrap();
    assert!(error(folder).await.contains("must be able to write"));
}
