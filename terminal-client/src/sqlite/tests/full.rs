//! Tables without a key: REPLICA IDENTITY FULL.

use std::time::Instant;

use wire::TableDefinition;

use super::given::{Place, delete, full, insert, relation, source, stored, table, update};
use crate::target::{StoredState, Target};

fn notes() -> TableDefinition {
    let columns = [
        ("a", "integer", "int4", -1),
        ("b", "text", "text", -1),
        ("c", "double precision", "float8", -1),
    ];
    table("notes", &columns, &[])
}

#[tokio::test]
async fn exactly_one_of_the_rows_that_are_alike() {
    let place = Place::new();
    place.loaded(&[(notes(), "1\tx\tNaN\n1\tx\tNaN\n1\t\\N\t-0\n\\N\t\\N\t\\N\n")]).await;
    let of = relation(&notes());
    place
        .apply(vec![
            update(&of, Some(full(&["1", "x", "NaN"])), &["2", "x", "NaN"]),
            delete(&of, full(&["null", "null", "null"])),
            update(&of, Some(full(&["1", "null", "-0"])), &["1", "null", "-0"]),
            insert(&of, &["2", "x", "NaN"]),
            delete(&of, full(&["2", "x", "NaN"])),
        ])
        .await
        .unwrap();
    assert_eq!(
        place.rows("SELECT a, b, c FROM notes ORDER BY a, b"),
        ["1|NULL|0.0", "1|'x'|'NaN'", "2|'x'|'NaN'"]
    );
    let change = delete(&of, full(&["9", "x", "1"]));
    let error = place.apply(vec![change]).await.unwrap_err().to_string();
    assert!(error.contains("key (a=9, b=x, c=1)") && error.contains("not there"), "{error}");
}

#[tokio::test]
async fn columns_that_take_the_names_of_the_row_number() {
    let place = Place::new();
    let columns = [("rowid", "text", "text", -1), ("OID", "text", "text", -1)];
    let taken = table("taken", &columns, &[]);
    place.loaded(&[(taken.clone(), "a\tb\na\tb\n")]).await;
    place.apply(vec![delete(&relation(&taken), full(&["a", "b"]))]).await.unwrap();
    assert_eq!(place.rows("SELECT count(*) FROM taken"), ["1"]);
}

#[tokio::test]
async fn wide_rows_and_rows_without_columns() {
    let place = Place::new();
    let names: Vec<String> = (0..1_600).map(|at| format!("c{at}")).collect();
    let columns: Vec<_> = names.iter().map(|name| (name.as_str(), "text", "text", -1)).collect();
    let (wide, none) = (table("wide", &columns, &[]), table("none", &[], &[]));
    let row = vec!["x"; 1_600];
    place.loaded(&[(wide.clone(), &(row.join("\t") + "\n")), (none.clone(), "\n\n")]).await;
    let (wide, none) = (relation(&wide), relation(&none));
    let changed = vec!["y"; 1_600];
    place
        .apply(vec![
            update(&wide, Some(full(&row)), &changed),
            insert(&none, &[]),
            delete(&none, full(&[])),
            delete(&none, full(&[])),
        ])
        .await
        .unwrap();
    assert_eq!(place.rows("SELECT c0, c1599 FROM wide"), ["'y'|'y'"]);
    assert_eq!(place.rows("SELECT count(*) FROM none"), ["1"]);
}

/// Rows of a table without a key are found by an index: ten times the rows must not take a hundred
/// times as long.
#[tokio::test]
async fn many_rows_without_a_key_are_not_quadratic() {
    let small = seconds_for(2_000).await;
    let large = seconds_for(20_000).await;
    assert!(large < 40.0 * small.max(0.02), "2,000 took {small:.3} s, 20,000 took {large:.3} s");
}

async fn seconds_for(rows: u32) -> f64 {
    let place = Place::new();
    let text: String = (0..rows).map(|at| format!("1\tthe same\t{at}\n")).collect();
    place.loaded(&[(notes(), &text)]).await;
    let of = relation(&notes());
    let mut target = place.open().await;
    target.stored(&source()).await.unwrap();
    let began = Instant::now();
    target.begin().await.unwrap();
    for at in (0..rows).rev() {
        let at = at.to_string();
        let old = full(&["1", "the same", &at]);
        target.apply(vec![update(&of, Some(old), &["2", "the same", &at])]).await.unwrap();
    }
    target.commit(&source(), &stored(200, StoredState::Ready)).await.unwrap();
    target.close().await;
    began.elapsed().as_secs_f64()
}
