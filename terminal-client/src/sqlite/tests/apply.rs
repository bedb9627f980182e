use wire::{Change, TableDefinition};

use super::given::{
    Place, delete, full, insert, items, key, load, operation, relation, source, stored, table,
    update,
};
use crate::target::{StoredState, Target, TargetError};

#[tokio::test]
async fn rows_follow_the_source() {
    let place = Place::new();
    place.loaded(&[(items(), "1\ta\t1\n2\tb\t2\n3\tc\t3\n")]).await;
    let of = relation(&items());
    place
        .apply(vec![
            insert(&of, &["4", "d", "null"]),
            update(&of, None, &["1", "A", "10"]),
            update(&of, None, &["2", "~", "20"]),
            update(&of, Some(key(&["3", "null", "null"])), &["30", "~", "3"]),
            delete(&of, key(&["4", "null", "null"])),
            insert(&of, &["4", "again", "4"]),
        ])
        .await
        .unwrap();
    assert_eq!(
        place.rows("SELECT * FROM items ORDER BY id"),
        ["1|'A'|10", "2|'b'|20", "4|'again'|4", "30|'c'|3"]
    );
    assert_eq!(place.rows("SELECT lsn FROM tailwater_position"), ["'0/C8'"]);
    let truncate = Change::Truncate { relations: vec![of], cascade: false, restart_identity: true };
    place.apply(vec![operation(truncate)]).await.unwrap();
    assert_eq!(place.rows("SELECT * FROM items"), [""; 0]);
}

#[tokio::test]
async fn what_meets_no_row_or_one_too_many_is_an_error_that_names_it() {
    let place = Place::new();
    place.loaded(&[(items(), "1\ta\t1\n")]).await;
    let of = relation(&items());
    for (change, words) in [
        (
            insert(&of, &["1", "x", "1"]),
            ["insert at 0/C8", "key (id=1)", "UNIQUE constraint failed"],
        ),
        (
            update(&of, None, &["7", "x", "1"]),
            ["update at 0/C8", "key (id=7)", "the row is not there"],
        ),
        (
            delete(&of, key(&["7", "null", "null"])),
            ["delete at 0/C8", "key (id=7)", "the row is not there"],
        ),
        (
            insert(&of, &["8", "x", "many"]),
            ["insert at 0/C8", "key (id=8)", "'many' is not an integer"],
        ),
        (update(&of, None, &["1", "x"]), ["update at 0/C8", "key (id=1)", "2 values where"]),
        (
            insert(&of, &["8", "~", "1"]),
            ["insert at 0/C8", "key (id=8)", "does not carry the value"],
        ),
    ] {
        let good = insert(&of, &["100", "good", "1"]);
        let error = place.apply(vec![good, change]).await.unwrap_err().to_string();
        assert!(error.contains("table public.items"), "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert_eq!(place.rows("SELECT * FROM items"), ["1|'a'|1"], "nothing of it was applied");
        assert_eq!(place.rows("SELECT lsn FROM tailwater_position"), ["'0/64'"]);
    }
}

#[tokio::test]
async fn after_an_error_nothing_can_be_committed() {
    let place = Place::new();
    let mut target = place.open().await;
    load(&mut target, &[(items(), "1\ta\t1\n")]).await.unwrap();
    let of = relation(&items());
    target.begin().await.unwrap();
    // Sent ahead: the error may come with any later call, and stays.
    let mut met = target.apply(vec![insert(&of, &["1", "x", "1"])]).await;
    for _ in 0..3 {
        met = met.and(target.apply(vec![insert(&of, &["2", "x", "1"])]).await);
    }
    let commit = target.commit(&source(), &stored(200, StoredState::Ready)).await;
    assert!(met.and(commit).is_err());
    assert!(target.commit(&source(), &stored(200, StoredState::Ready)).await.is_err());
    drop(target);
    assert_eq!(place.rows("SELECT * FROM items"), ["1|'a'|1"]);
}

#[tokio::test]
async fn an_open_transaction_that_is_dropped_is_undone() {
    let place = Place::new();
    place.loaded(&[(items(), "1\ta\t1\n")]).await;
    let mut target = place.open().await;
    target.begin().await.unwrap();
    target.apply(vec![insert(&relation(&items()), &["2", "b", "2"])]).await.unwrap();
    drop(target);
    assert_eq!(place.rows("SELECT count(*) FROM items"), ["1"]);
}

#[tokio::test]
async fn a_position_row_that_was_changed_is_noticed() {
    let place = Place::new();
    place.loaded(&[(items(), "")]).await;
    let mut target = place.open().await;
    target.stored(&source()).await.unwrap();
    place.look().execute_batch("UPDATE tailwater_position SET lsn = '0/65'").unwrap();
    target.begin().await.unwrap();
    let error = target.commit(&source(), &stored(200, StoredState::Ready)).await.unwrap_err();
    assert!(error.to_string().contains("not as it was read"), "{error}");
}

#[tokio::test]
async fn a_key_of_every_column_and_keys_of_text() {
    let place = Place::new();
    let pairs =
        table("pairs", &[("a", "text", "text", -1), ("b", "numeric", "numeric", -1)], &["a", "b"]);
    place.loaded(&[(pairs.clone(), "x\t1.0\nx\t1.00\n")]).await;
    let of = relation(&pairs);
    place
        .apply(vec![
            update(&of, None, &["x", "1.0"]),
            update(&of, Some(key(&["x", "1.00"])), &["y", "1.00"]),
        ])
        .await
        .unwrap();
    assert_eq!(place.rows("SELECT * FROM pairs ORDER BY a"), ["'x'|'1.0'", "'y'|'1.00'"]);
    let error = place.apply(vec![update(&of, None, &["z", "1"])]).await.unwrap_err().to_string();
    assert!(error.contains("the row is not there"), "{error}");
}

#[tokio::test]
async fn values_swap_under_a_deferrable_key() {
    let place = Place::new();
    let mut places =
        table("places", &[("id", "integer", "int4", -1), ("rank", "integer", "int4", -1)], &["id"]);
    places.constraints.push(wire::ConstraintDefinition {
        name: "rank".into(),
        kind: 'u',
        definition: "UNIQUE (rank) DEFERRABLE".into(),
        columns: vec!["rank".into()],
    });
    place.loaded(&[(places.clone(), "1\t1\n2\t2\n")]).await;
    let of = relation(&places);
    place
        .apply(vec![update(&of, None, &["1", "2"]), update(&of, None, &["2", "1"])])
        .await
        .unwrap();
    assert_eq!(place.rows("SELECT * FROM places ORDER BY id"), ["1|2", "2|1"]);
}

#[tokio::test]
async fn a_table_of_the_stream_is_made_and_a_new_column_is_asked_for() {
    let place = Place::new();
    place.loaded(&[(items(), "")]).await;
    let later = table(
        "shop.later",
        &[("id", "integer", "int4", -1), ("tags", "text[]", "_text", -1)],
        &["id"],
    );
    place.apply(vec![insert(&relation(&later), &["1", "{a,NULL}"])]).await.unwrap();
    assert_eq!(place.rows("SELECT rowid, * FROM \"shop.later\""), ["1|1|'[\"a\",null]'"]);

    let mut wider = items();
    wider.columns.push(table("x", &[("sku", "bytea", "bytea", -1)], &[]).columns.remove(0));
    let change = || vec![insert(&relation(&wider), &["1", "a", "1", "\\x01"])];
    let error = place.apply(change()).await.unwrap_err().to_string();
    assert!(error.contains("ALTER TABLE \"items\" ADD COLUMN \"sku\" BLOB"), "{error}");
    assert!(error.contains("`tailwater-terminal reload`"), "{error}");
    place.look().execute_batch("ALTER TABLE items ADD COLUMN sku BLOB").unwrap();
    place.apply(change()).await.unwrap();
    assert_eq!(place.rows("SELECT * FROM items"), ["1|'a'|1|x01"]);
}

/// What is said of a definition before there are changes by it.
async fn met(place: &Place, of: &TableDefinition) -> Result<(), TargetError> {
    let (mut target, relation) = (place.open().await, relation(of));
    let known = target.known_tables(&source()).await?;
    target.begin().await?;
    target.meet(&source(), known.get(&relation.oid), false, &relation).await
}

#[tokio::test]
async fn a_column_that_was_dropped_or_renamed_without_a_word_is_an_error() {
    let place = Place::new();
    place.loaded(&[(items(), "1\tnote\t1\n")]).await;
    let mut narrower = items();
    narrower.columns.remove(1);
    let error = met(&place, &narrower).await.unwrap_err().to_string();
    assert!(error.contains("DROP INDEX for each"), "{error}");
    assert!(error.contains("ALTER TABLE \"items\" DROP COLUMN \"note\""), "{error}");
    let mut renamed = items();
    renamed.columns[1].name = "remark".into();
    let error = met(&place, &renamed).await.unwrap_err().to_string();
    assert!(error.contains("RENAME COLUMN \"note\" TO \"remark\""), "{error}");
    place.look().execute_batch("ALTER TABLE items DROP COLUMN note").unwrap();
    met(&place, &narrower).await.unwrap();
    place.apply(vec![insert(&relation(&narrower), &["2", "2"])]).await.unwrap();
    assert_eq!(place.rows("SELECT * FROM items ORDER BY id"), ["1|1", "2|2"]);
}

#[tokio::test]
async fn a_type_that_was_altered_is_an_error() {
    let place = Place::new();
    place.loaded(&[(items(), "")]).await;
    let mut altered = items();
    altered.columns[1].base_type = "timestamptz".into();
    let change = insert(&relation(&altered), &["1", "2024-01-01 10:00:00+00", "1"]);
    let error = place.apply(vec![change]).await.unwrap_err().to_string();
    assert!(error.contains("from text to timestamptz"), "{error}");
}

#[tokio::test]
async fn a_domain_is_kept_by_its_base_type_in_both() {
    let place = Place::new();
    let amounts = table(
        "amounts",
        &[("id", "integer", "int4", -1), ("n", "public.amount", "numeric", (9 << 16) + 4)],
        &["id"],
    );
    place.loaded(&[(amounts.clone(), "1\t10\n")]).await;
    // The stream has the type below the domain, and the column's own modifier: none.
    let mut plain = amounts;
    plain.columns[1].base_modifier = -1;
    place.apply(vec![insert(&relation(&plain), &["2", "20"])]).await.unwrap();
    assert_eq!(
        place.rows("SELECT id, n, typeof(n) FROM amounts"),
        ["1|10|'integer'", "2|20|'integer'"]
    );
}

#[tokio::test]
async fn triggers_and_foreign_keys_of_the_file_stay_silent() {
    let place = Place::new();
    place
        .look()
        .execute_batch(
            "CREATE TABLE items (id INTEGER PRIMARY KEY REFERENCES missing (id), note TEXT, qty INTEGER);
             CREATE TRIGGER doubled AFTER INSERT ON items BEGIN UPDATE items SET qty = qty * 2; END",
        )
        .unwrap();
    place.loaded(&[(items(), "1\ta\t1\n")]).await;
    place.apply(vec![insert(&relation(&items()), &["2", "b", "2"])]).await.unwrap();
    assert_eq!(place.rows("SELECT qty FROM items ORDER BY id"), ["1", "2"]);
}

#[tokio::test]
async fn several_transactions_share_one_commit() {
    let place = Place::new();
    place.loaded(&[(items(), "")]).await;
    let of = relation(&items());
    let mut target = place.open().await;
    target.stored(&source()).await.unwrap();
    for round in 0..3_u64 {
        target.begin().await.unwrap();
        for at in 0..10 {
            let id = (round * 10 + at).to_string();
            target.apply(vec![insert(&of, &[&id, "x", "1"])]).await.unwrap();
        }
        assert_eq!(place.rows("SELECT count(*) FROM items"), [(round * 10).to_string()]);
        target.commit(&source(), &stored(201 + round, StoredState::Ready)).await.unwrap();
    }
    target.close().await;
    assert_eq!(place.rows("SELECT count(*) FROM items"), ["30"]);
}

#[tokio::test]
async fn a_delete_by_the_whole_row_of_a_table_with_a_key() {
    let place = Place::new();
    let mut definition = items();
    definition.replica_identity = 'f';
    definition.identity_columns = vec!["id".into(), "note".into(), "qty".into()];
    place.loaded(&[(definition.clone(), "1\t\\N\t1\n2\tb\t2\n")]).await;
    let of = relation(&definition);
    place
        .apply(vec![
            delete(&of, full(&["1", "null", "1"])),
            update(&of, Some(full(&["2", "b", "2"])), &["3", "~", "2"]),
        ])
        .await
        .unwrap();
    assert_eq!(place.rows("SELECT * FROM items"), ["3|'b'|2"]);
    let extra = "SELECT name FROM sqlite_schema WHERE name LIKE 'tailwater_row%'";
    assert_eq!(place.rows(extra), [""; 0], "the key is enough to find rows by");
}
