//! Invariant 4 at SQLite: what keeps the position from being written keeps the rows out.

use super::given::{Place, insert, items, load, relation};

/// A file whose position row can be anything but `refused`.
fn refusing(refused: &str) -> Place {
    let place = Place::new();
    let sql = format!(
        "CREATE TABLE tailwater_position (source TEXT PRIMARY KEY, lineage TEXT NOT NULL, lsn TEXT NOT NULL,
             hashes TEXT NOT NULL, state TEXT NOT NULL, channels TEXT, channel_map TEXT NOT NULL,
             updated_at TEXT NOT NULL, CHECK (NOT ({refused})))"
    );
    place.look().execute_batch(&sql).unwrap();
    place
}

#[tokio::test]
async fn a_load_is_not_complete_without_its_position() {
    let place = refusing("state = 'ready'");
    let mut target = place.open().await;
    let error = load(&mut target, &[(items(), "1\ta\t1\n")]).await.unwrap_err().to_string();
    assert!(error.contains("write tailwater_position"), "{error}");
    drop(target);
    assert_eq!(place.rows("SELECT state FROM tailwater_position"), ["'loading'"]);
    assert_eq!(place.rows("SELECT count(*) FROM tailwater_load"), ["1"]);
    assert_eq!(
        place.rows("SELECT count(*) FROM items"),
        ["0"],
        "rows of a part that was not committed"
    );
}

#[tokio::test]
async fn changes_without_their_position_are_not_kept() {
    let place = refusing("lsn = '0/C8'");
    place.loaded(&[(items(), "1\ta\t1\n")]).await;
    let change = insert(&relation(&items()), &["2", "b", "2"]);
    let error = place.apply(vec![change]).await.unwrap_err().to_string();
    assert!(error.contains("write tailwater_position"), "{error}");
    assert_eq!(place.rows("SELECT lsn FROM tailwater_position"), ["'0/64'"]);
    assert_eq!(place.rows("SELECT id FROM items"), ["1"]);
}
