//! Killed with SIGKILL at random moments: whole transactions stay, and the position with them.

use std::time::Duration;

use wire::TableDefinition;

use super::{
    child::child,
    given::{Place, insert, items, load, relation, source, stored, table, update},
};
use crate::{
    sqlite::SqliteTarget,
    target::{Operation, StoredState, Target},
};

const ROUNDS: u64 = 25;
/// Rows of each transaction in each table.
const ROWS: u64 = 40;

fn log() -> TableDefinition {
    table("log", &[("n", "bigint", "int8", -1), ("text", "text", "text", -1)], &["n"])
}

pub(super) async fn load_all(target: &mut SqliteTarget) {
    let rows: String = (0..400_000).map(|at| format!("{at}\tnote {at}\t0\n")).collect();
    load(target, &[(items(), &rows), (log(), "")]).await.unwrap();
}

pub(super) async fn apply_on_and_on(target: &mut SqliteTarget) {
    let mut at = target.stored(&source()).await.unwrap().unwrap().position.lsn.get();
    loop {
        at += 1;
        target.begin().await.unwrap();
        for piece in transaction(at).chunks(7) {
            target.apply(piece.to_vec()).await.unwrap();
        }
        target.commit(&source(), &stored(at, StoredState::Ready)).await.unwrap();
    }
}

/// Transaction `at` puts ROWS rows into `log`, all with the same text, and sets every item to `at`.
fn transaction(at: u64) -> Vec<Operation> {
    let (log, items) = (relation(&log()), relation(&items()));
    (0..ROWS)
        .flat_map(|row| {
            let n = (at * ROWS + row).to_string();
            let (id, at) = (row.to_string(), at.to_string());
            [insert(&log, &[&n, &at]), update(&items, None, &[&id, "~", &at])]
        })
        .collect()
}

/// Naps between 0 and `most` ms, from a seed that is printed.
fn naps(most: u64) -> impl Iterator<Item = Duration> {
    let mut seed = std::process::id().into();
    eprintln!("naps by seed {seed}");
    std::iter::from_fn(move || {
        seed = u64::wrapping_mul(seed, 6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some(Duration::from_millis((seed >> 33) % most))
    })
}

#[tokio::test]
async fn killed_while_applying_it_has_whole_transactions() {
    let place = Place::new();
    let rows: String = (0..ROWS).map(|at| format!("{at}\tx\t100\n")).collect();
    place.loaded(&[(items(), &rows), (log(), "")]).await;
    let mut last = 100;
    for nap in naps(120).take(usize::try_from(ROUNDS).unwrap()) {
        let mut running = child(&place, "apply");
        tokio::time::sleep(Duration::from_millis(30) + nap).await;
        running.kill().unwrap();
        running.wait().unwrap();
        let mut target = place.open().await;
        let at = target.stored(&source()).await.unwrap().unwrap().position.lsn.get();
        target.close().await;
        assert!(at >= last, "the position went back from {last} to {at}");
        last = at;
        let done = at - 100;
        assert_eq!(place.rows("SELECT count(*) FROM log"), [(done * ROWS).to_string()]);
        let halves = "SELECT text FROM log GROUP BY text HAVING count(*) <> 40";
        assert_eq!(place.rows(halves), [""; 0], "part of a transaction at {at}");
        assert_eq!(place.rows("SELECT DISTINCT qty FROM items"), [at.to_string()]);
        assert_eq!(place.rows("PRAGMA integrity_check"), ["'ok'"]);
    }
    eprintln!("{} transactions over {ROUNDS} kills", last - 100);
    assert!(last > 100, "nothing was ever committed");
}

#[tokio::test]
async fn killed_while_loading_it_begins_again() {
    let place = Place::new();
    for nap in naps(1_500).take(6) {
        let mut running = child(&place, "load");
        tokio::time::sleep(Duration::from_millis(50) + nap).await;
        running.kill().unwrap();
        running.wait().unwrap();
        if place.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'tailwater_position'")
            == ["0"]
        {
            continue;
        }
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('items', 'log')";
        let state = place.rows("SELECT state FROM tailwater_position");
        match state.first().map(String::as_str) {
            None => assert_eq!(place.rows(tables), ["0"]),
            // This load commits no part before its last one.
            Some("'loading'") => {
                if place.rows(tables) == ["2"] {
                    assert_eq!(place.rows("SELECT count(*) FROM items"), ["0"]);
                    assert_eq!(place.rows("SELECT count(*) FROM tailwater_load"), ["1"]);
                } else {
                    assert_eq!(place.rows(tables), ["0"]);
                }
            }
            Some("'ready'") => break,
            other => panic!("{other:?}"),
        }
    }
    if place.rows("SELECT state FROM tailwater_position") != ["'ready'"] {
        assert!(child(&place, "load").wait().unwrap().success());
    }
    assert_eq!(place.rows("SELECT count(*) FROM items"), ["400000"]);
    assert_eq!(place.rows("SELECT state FROM tailwater_position"), ["'ready'"]);
}
