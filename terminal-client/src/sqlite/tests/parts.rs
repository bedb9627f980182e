//! The first load, part by part: what is committed, what goes on, what is removed.

use bytes::Bytes;
use wire::{Lsn, Snapshot};

use super::given::{Place, items, snapshot, source, stored, table};
use crate::{
    sqlite::SqliteTarget,
    target::{LoadPoint, RowWriter, StoredState, Target, TargetError},
};

/// `items`, with four rows, and an empty table.
fn two_tables() -> Snapshot {
    let other = table("other", &[("id", "bigint", "int8", -1)], &["id"]);
    let mut snapshot = snapshot(&[items(), other]);
    snapshot.tables[0].rows = 4;
    snapshot
}

fn point(rows: u64) -> LoadPoint {
    LoadPoint { objects: 1, rows, bytes: 10 * rows, ..LoadPoint::default() }
}

async fn begin(target: &mut SqliteTarget, snapshot: &Snapshot) -> Result<(), TargetError> {
    target.begin_load(&source(), &stored(100, StoredState::Loading), snapshot).await
}

async fn rows(
    target: &mut SqliteTarget,
    snapshot: &Snapshot,
    rows: &'static str,
) -> Result<u64, TargetError> {
    target.begin_table(&snapshot.tables[0]).await?;
    target.load_rows(Bytes::from_static(rows.as_bytes())).await?;
    target.end_table().await
}

async fn finish(target: &mut SqliteTarget, snapshot: &Snapshot) -> Result<(), TargetError> {
    target.finish_load(&source(), &stored(100, StoredState::Ready), snapshot).await
}

/// A file in which a load was interrupted behind its first part of two rows.
async fn interrupted(snapshot: &Snapshot, sql: &str) -> Place {
    let place = Place::new();
    place.look().execute_batch(sql).unwrap();
    let mut target = place.open().await;
    begin(&mut target, snapshot).await.unwrap();
    assert_eq!(rows(&mut target, snapshot, "1\ta\t1\n2\tb\t2\n").await.unwrap(), 2);
    target.end_part(&source(), &point(2)).await.unwrap();
    rows(&mut target, snapshot, "3\tc\t3\n").await.unwrap();
    drop(target);
    place
}

#[tokio::test]
async fn it_goes_on_behind_the_last_part() {
    let snapshot = two_tables();
    let place = interrupted(&snapshot, "").await;
    assert_eq!(place.rows("SELECT id FROM items"), ["1", "2"]);
    assert_eq!(place.rows("SELECT state FROM tailwater_position"), ["'loading'"]);
    let mut target = place.open().await;
    let unfinished = target.unfinished_load(&source()).await.unwrap().unwrap();
    assert_eq!(unfinished.point, point(2));
    assert!(target.resume_load(&source(), &unfinished, &snapshot).await.unwrap().is_some());
    rows(&mut target, &snapshot, "3\tc\t3\n4\td\t4\n").await.unwrap();
    finish(&mut target, &snapshot).await.unwrap();
    assert_eq!(place.rows("SELECT id, qty FROM items"), ["1|1", "2|2", "3|3", "4|4"]);
    assert_eq!(place.rows("SELECT state FROM tailwater_position"), ["'ready'"]);
    assert_eq!(target.unfinished_load(&source()).await.unwrap(), None);
    // Keys are made by the run that finishes, also those of tables that an earlier one made.
    let key = "SELECT count(*) FROM tailwater_tables";
    assert_eq!(place.rows(key), ["2"]);
}

/// Rows without a word of how far they go, or the other way round, would be loaded twice or never.
#[tokio::test]
async fn a_part_is_committed_with_its_record_or_not_at_all() {
    let snapshot = two_tables();
    let place = interrupted(&snapshot, "").await;
    let mut target = place.open().await;
    let unfinished = target.unfinished_load(&source()).await.unwrap().unwrap();
    target.resume_load(&source(), &unfinished, &snapshot).await.unwrap();
    place.look().execute_batch("DELETE FROM tailwater_load").unwrap();
    rows(&mut target, &snapshot, "3\tc\t3\n").await.unwrap();
    let error = target.end_part(&source(), &point(3)).await.unwrap_err();
    assert!(error.to_string().contains("tailwater_load is gone"), "{error}");
    drop(target);
    assert_eq!(place.rows("SELECT id FROM items"), ["1", "2"]);
}

#[tokio::test]
async fn another_snapshot_is_not_taken_for_this_one() {
    let one = two_tables();
    let same = crate::target::snapshot_id;
    let later = Snapshot { lsn: Lsn::new(101), ..one.clone() };
    let mut fewer = one.clone();
    fewer.tables.pop();
    let mut renamed = one.clone();
    renamed.tables[0].columns.swap(0, 1);
    let mut listed_elsewhere = one.clone();
    listed_elsewhere.created_at = "2024-01-01T00:00:00Z".into();
    assert_eq!(same(&one), same(&listed_elsewhere));
    for other in [&later, &fewer, &renamed] {
        assert_ne!(same(&one), same(other));
    }
}

#[tokio::test]
async fn what_is_left_of_a_load_is_removed() {
    let snapshot = two_tables();
    let kept = "CREATE TABLE items (id INTEGER, note TEXT, qty INTEGER, own TEXT)";
    for (sql, tables) in [("", "0"), (kept, "1")] {
        let place = interrupted(&snapshot, sql).await;
        let mut target = place.open().await;
        let unfinished = target.unfinished_load(&source()).await.unwrap().unwrap();
        target.discard_load(&source(), &unfinished).await.unwrap();
        let found = "SELECT count(*) FROM sqlite_schema WHERE name IN ('items', 'other')";
        assert_eq!(place.rows(found), [tables], "{sql}");
        if !sql.is_empty() {
            assert_eq!(place.rows("SELECT count(*) FROM items"), ["0"]);
        }
        begin(&mut target, &snapshot).await.unwrap();
        rows(&mut target, &snapshot, "1\ta\t1\n2\tb\t2\n3\tc\t3\n4\td\t4\n").await.unwrap();
        finish(&mut target, &snapshot).await.unwrap();
        assert_eq!(place.rows("SELECT count(*) FROM items"), ["4"]);
    }
}

#[tokio::test]
async fn rows_of_others_are_not_removed_with_it() {
    let snapshot = two_tables();
    let kept = "CREATE TABLE items (id INTEGER, note TEXT, qty INTEGER)";
    let place = interrupted(&snapshot, kept).await;
    place.look().execute_batch("INSERT INTO items VALUES (77, 'own', 0)").unwrap();
    let mut target = place.open().await;
    let unfinished = target.unfinished_load(&source()).await.unwrap().unwrap();
    let error = target.discard_load(&source(), &unfinished).await.unwrap_err().to_string();
    assert!(error.contains("wrote 2 rows to it, and now it has 3"), "{error}");
    assert_eq!(place.rows("SELECT count(*) FROM items"), ["3"]);
}

#[tokio::test]
async fn rows_that_something_else_wrote_meanwhile_are_found() {
    let snapshot = two_tables();
    for sql in ["INSERT INTO items VALUES (77, 'own', 0)", "DELETE FROM items WHERE id = 1"] {
        let place = interrupted(&snapshot, "").await;
        place.look().execute_batch(sql).unwrap();
        let mut target = place.open().await;
        let unfinished = target.unfinished_load(&source()).await.unwrap().unwrap();
        target.resume_load(&source(), &unfinished, &snapshot).await.unwrap();
        rows(&mut target, &snapshot, "3\tc\t3\n4\td\t4\n").await.unwrap();
        let error = finish(&mut target, &snapshot).await.unwrap_err().to_string();
        assert!(error.contains("something else wrote to it"), "{error}");
        assert_eq!(place.rows("SELECT state FROM tailwater_position"), ["'loading'"]);
        let mut target = place.open().await;
        let unfinished = target.unfinished_load(&source()).await.unwrap().unwrap();
        assert_eq!(unfinished.snapshot, "", "it would go on with these rows");
    }
}

#[tokio::test]
async fn it_does_not_go_on_without_one_of_its_tables() {
    let snapshot = two_tables();
    let place = interrupted(&snapshot, "").await;
    place.look().execute_batch("DROP TABLE other").unwrap();
    let mut target = place.open().await;
    let unfinished = target.unfinished_load(&source()).await.unwrap().unwrap();
    assert!(target.resume_load(&source(), &unfinished, &snapshot).await.unwrap().is_none());
}
