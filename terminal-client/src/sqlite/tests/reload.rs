//! A reload: rows wait in shadows, and take the place of the old ones at once.

use bytes::Bytes;
use wire::Snapshot;

use super::given::{Place, items, snapshot, source, stored, table};
use crate::{
    sqlite::SqliteTarget,
    target::{LoadPoint, RowWriter, StoredState, Target},
};

/// `items` with two rows, and a table without columns with three.
fn newer() -> Snapshot {
    let mut snapshot = snapshot(&[items(), table("none", &[], &[])]);
    snapshot.tables[0].rows = 2;
    snapshot.tables[1].rows = 3;
    snapshot
}

async fn load_parts(target: &mut SqliteTarget, snapshot: &Snapshot) {
    for (table, rows) in snapshot.tables.iter().zip(["1\tnew\t1\n9\tnew\t9\n", "\n\n\n"]) {
        target.begin_table(table).await.unwrap();
        target.load_rows(Bytes::from_static(rows.as_bytes())).await.unwrap();
        target.end_table().await.unwrap();
    }
    let point = LoadPoint { tables: 2, bytes: 9, ..LoadPoint::default() };
    target.end_part(&source(), &point).await.unwrap();
}

/// A file with old rows, and a reload whose rows are all in its shadows.
async fn waiting(snapshot: &Snapshot) -> Place {
    let place = Place::new();
    place.loaded(&[(items(), "1\told\t1\n2\told\t2\n"), (table("none", &[], &[]), "\n")]).await;
    place.look().execute_batch("CREATE INDEX own ON items (note)").unwrap();
    let mut target = place.open().await;
    target.begin_reload(&source(), snapshot).await.unwrap();
    load_parts(&mut target, snapshot).await;
    place
}

const ROWS: &str = "SELECT id, note FROM items UNION ALL SELECT 'none', count(*) FROM none";
const SHADOWS: &str = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tailwater_shadow%'";

#[tokio::test]
async fn rows_take_the_place_of_the_old_ones_at_the_end() {
    let snapshot = newer();
    let place = waiting(&snapshot).await;
    assert_eq!(place.rows(ROWS), ["1|'old'", "2|'old'", "'none'|1"]);
    assert_eq!(place.rows("SELECT state FROM tailwater_position"), ["'ready'"]);
    assert_eq!(place.rows(SHADOWS), ["2"]);
    let mut target = place.open().await;
    let unfinished = target.unfinished_load(&source()).await.unwrap().unwrap();
    assert_eq!(unfinished.plan.kind(), "reload");
    assert!(target.resume_load(&source(), &unfinished, &snapshot).await.unwrap().is_some());
    target.finish_load(&source(), &stored(300, StoredState::Ready), &snapshot).await.unwrap();
    assert_eq!(place.rows(ROWS), ["1|'new'", "9|'new'", "'none'|3"]);
    assert_eq!(place.rows("SELECT lsn FROM tailwater_position"), ["'0/12C'"]);
    assert_eq!(place.rows(SHADOWS), ["0"]);
    assert_eq!(place.rows("SELECT name FROM sqlite_schema WHERE name = 'own'"), ["'own'"]);
    assert_eq!(target.unfinished_load(&source()).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_given_up_leaves_the_old_rows() {
    let place = waiting(&newer()).await;
    let mut target = place.open().await;
    let unfinished = target.unfinished_load(&source()).await.unwrap().unwrap();
    target.discard_load(&source(), &unfinished).await.unwrap();
    assert_eq!(place.rows(ROWS), ["1|'old'", "2|'old'", "'none'|1"]);
    assert_eq!(place.rows(SHADOWS), ["0"]);
}

#[tokio::test]
async fn a_shadow_that_something_else_wrote_to_is_not_taken() {
    let snapshot = newer();
    let place = waiting(&snapshot).await;
    let names =
        "SELECT name FROM sqlite_schema WHERE name LIKE 'tailwater_shadow%' AND sql LIKE '%note%'";
    let name = place.rows(names).remove(0).replace('\'', "");
    place.look().execute_batch(&format!("DELETE FROM {name} WHERE id = 9")).unwrap();
    let mut target = place.open().await;
    let unfinished = target.unfinished_load(&source()).await.unwrap().unwrap();
    target.resume_load(&source(), &unfinished, &snapshot).await.unwrap();
    let ready = stored(300, StoredState::Ready);
    let error = target.finish_load(&source(), &ready, &snapshot).await.unwrap_err().to_string();
    assert!(error.contains("its shadow has 1 rows, and the snapshot has 2"), "{error}");
    assert_eq!(place.rows(ROWS), ["1|'old'", "2|'old'", "'none'|1"]);
    // The next run begins it anew.
    let mut target = place.open().await;
    assert_eq!(target.unfinished_load(&source()).await.unwrap().unwrap().snapshot, "");
    place.look().execute_batch(&format!("DROP TABLE {name}")).unwrap();
    assert!(target.resume_load(&source(), &unfinished, &snapshot).await.unwrap().is_none());
}
