use super::given::{Place, items, load, source, stored, table};
use crate::target::{StoredState, Target};

#[tokio::test]
async fn tables_rows_and_indexes_come_over() {
    let place = Place::new();
    let mut all = table(
        "Sales.every \"type\"",
        &[
            ("id", "bigint", "int8", -1),
            ("at", "timestamp with time zone", "timestamptz", -1),
            ("price", "numeric(12,2)", "numeric", (12 << 16 | 2) + 4),
            ("count", "numeric(9,0)", "numeric", (9 << 16) + 4),
            ("ok", "boolean", "bool", -1),
            ("f", "double precision", "float8", -1),
            ("raw", "bytea", "bytea", -1),
            ("list", "integer[]", "_int4", -1),
            ("doc", "jsonb", "jsonb", -1),
            ("Note", "text", "text", -1),
        ],
        &["id", "at"],
    );
    all.constraints.push(wire::ConstraintDefinition {
        name: "later".into(),
        kind: 'u',
        definition: "UNIQUE (price) DEFERRABLE INITIALLY DEFERRED".into(),
        columns: vec!["price".into()],
    });
    all.indexes.push(wire::IndexDefinition {
        name: "by_note".into(),
        definition: String::new(),
        unique: true,
        columns: vec!["Note".into()],
    });
    let rows = "1\t2024-01-01 10:00:00.5+00\t1.50\t7\tt\t1.1\t\\\\x00ff\t{1,NULL}\t{\"a\": 1}\ta\\tb\n\
                2\t2024-01-02 10:00:00+00\tNaN\t\\N\tf\tNaN\t\\\\x\t{}\tnull\t\\\\N\n";
    place.loaded(&[(all, rows), (items(), "5\tfive\t\\N\n")]).await;
    assert_eq!(
        place.rows("SELECT * FROM \"Sales.every \"\"type\"\"\" ORDER BY id"),
        [
            "1|'2024-01-01T10:00:00.5Z'|'1.50'|7|1|1.1|x00ff|'[1,null]'|'{\"a\": 1}'|'a\tb'",
            "2|'2024-01-02T10:00:00Z'|'NaN'|NULL|0|'NaN'|x|'[]'|'null'|'\\N'",
        ]
    );
    assert_eq!(place.rows("SELECT rowid, * FROM items"), ["5|5|'five'|NULL"]);
    assert_eq!(
        place.rows(
            "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name NOT LIKE 'sqlite%' ORDER BY name"
        ),
        [
            "'CREATE UNIQUE INDEX \"Sales.by_note\" ON \"Sales.every \"\"type\"\"\" (\"Note\")'",
            "'CREATE UNIQUE INDEX \"Sales.every \"\"type\"\"_pkey\" ON \"Sales.every \"\"type\"\"\" (\"id\", \"at\")'",
            "'CREATE INDEX \"Sales.later\" ON \"Sales.every \"\"type\"\"\" (\"price\")'",
        ]
    );
    let position = "SELECT source, lsn, state, channels, channel_map FROM tailwater_position";
    assert_eq!(
        place.rows(position),
        ["'orders'|'0/64'|'ready'|NULL|'{\"rules\":[],\"tables\":{}}'"]
    );
    assert_eq!(place.rows("PRAGMA journal_mode"), ["'wal'"]);
}

#[tokio::test]
async fn the_position_is_read_back() {
    let place = Place::new();
    let mut target = place.open().await;
    assert_eq!(target.stored(&source()).await.unwrap(), None);
    assert_eq!(target.sources().await.unwrap(), []);
    load(&mut target, &[(items(), "")]).await.unwrap();
    target.close().await;
    let mut target = place.open().await;
    assert_eq!(target.stored(&source()).await.unwrap(), Some(stored(100, StoredState::Ready)));
    let other = wire::SourceName::new("other").unwrap();
    assert_eq!(target.stored(&other).await.unwrap(), None);
    assert_eq!(target.sources().await.unwrap(), [source()]);
    target.close().await;
}

#[tokio::test]
async fn a_table_that_was_there_is_used() {
    let place = Place::new();
    place
        .look()
        .execute_batch(
            "CREATE TABLE Items (qty INT, own TEXT DEFAULT 'x', note VARCHAR(9), ID INTEGER)",
        )
        .unwrap();
    place.loaded(&[(items(), "1\ta\t3\n")]).await;
    assert_eq!(place.rows("SELECT * FROM items"), ["3|'x'|'a'|1"]);
    let keys = "SELECT name, \"unique\" FROM pragma_index_list('Items')";
    assert_eq!(place.rows(keys), ["'items_pkey'|1"]);
}

#[tokio::test]
async fn a_table_that_cannot_be_used_is_named_with_what_to_do() {
    for (sql, expected) in [
        (
            "CREATE TABLE items (id INTEGER, qty INTEGER)",
            "ALTER TABLE \"items\" ADD COLUMN \"note\" TEXT",
        ),
        (
            "CREATE TABLE items (id INTEGER, note NUMERIC, qty INTEGER)",
            "\"note\" is declared NUMERIC",
        ),
        (
            "CREATE TABLE items (id INTEGER, note TEXT, qty INTEGER, x TEXT NOT NULL)",
            "\"x\" is NOT NULL",
        ),
        (
            "CREATE TABLE items (id INTEGER, note TEXT, qty INTEGER); INSERT INTO items VALUES (1, '', 1)",
            "has rows already",
        ),
        ("CREATE VIEW items AS SELECT 1 AS id", "there is a view"),
        (
            "CREATE TABLE items (id INTEGER, note TEXT, qty INTEGER GENERATED ALWAYS AS (id))",
            "no column \"qty\" to write to",
        ),
    ] {
        let place = Place::new();
        place.look().execute_batch(sql).unwrap();
        let mut target = place.open().await;
        let error = load(&mut target, &[(items(), "")]).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("public.items"), "{error}");
    }
}

#[tokio::test]
async fn names_that_sqlite_does_not_tell_apart_are_refused() {
    let columns = [("a", "text", "text", -1), ("A", "text", "text", -1)];
    for (tables, expected) in [
        (vec![table("t", &columns, &[])], "cannot tell its column \"A\""),
        (
            vec![table("T", &columns[..1], &[]), table("t", &columns[..1], &[])],
            "cannot tell its name \"t\"",
        ),
        (vec![table("sqlite_x", &columns[..1], &[])], "keeps the name \"sqlite_x\""),
        (vec![table("tailwater_position", &columns[..1], &[])], "keeps the name"),
    ] {
        let place = Place::new();
        let mut target = place.open().await;
        let tables: Vec<_> = tables.into_iter().map(|table| (table, "")).collect();
        let error = load(&mut target, &tables).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn rows_that_cannot_be_are_named() {
    for (rows, expected) in [
        (
            "1\ta\t1\nx\tb\t2\n",
            "row 2 of a part of the snapshot cannot be loaded: column id: 'x' is not an integer",
        ),
        ("1\ta\n", "a row of 2 fields for 3 columns"),
        ("1\ta\t1\n2\tb", "the rows end in the middle of one"),
        (
            "1\ta\t1\n1\tb\t2\n",
            "row 2 of a part of the snapshot cannot be loaded: UNIQUE constraint failed",
        ),
    ] {
        let place = Place::new();
        let mut target = place.open().await;
        let error = load(&mut target, &[(items(), rows)]).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("public.items"), "{error}");
    }
}

#[tokio::test]
async fn tables_without_columns_and_with_1600() {
    let place = Place::new();
    let names: Vec<String> = (0..1_600).map(|at| format!("c{at}")).collect();
    let columns: Vec<_> = names.iter().map(|name| (name.as_str(), "text", "text", -1)).collect();
    let row = vec!["x"; 1_600].join("\t") + "\n";
    place.loaded(&[(table("none", &[], &[]), "\n\n"), (table("wide", &columns, &[]), &row)]).await;
    assert_eq!(place.rows("SELECT count(*) FROM none"), ["2"]);
    assert_eq!(place.rows("SELECT c0, c1599 FROM wide"), ["'x'|'x'"]);
}

#[tokio::test]
async fn generated_columns_are_computed_where_that_is_the_same() {
    let place = Place::new();
    let mut made = table(
        "made",
        &[
            ("id", "integer", "int4", -1),
            ("a", "integer", "int4", -1),
            ("twice", "integer", "int4", -1),
            ("low", "text", "text", -1),
        ],
        &["id"],
    );
    made.columns[2].generated = Some("(a * 2)".into());
    made.columns[3].generated = Some("lower(a::text)".into());
    place.loaded(&[(made, "1\t5\n2\t\\N\n")]).await;
    assert_eq!(place.rows("SELECT * FROM made"), ["1|5|10", "2|NULL|NULL"]);
}
