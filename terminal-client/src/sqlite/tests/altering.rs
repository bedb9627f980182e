//! Schema changes: a file that followed them is as one that is loaded anew.

use proptest::{prelude::*, sample::subsequence};
use wire::{
    ColumnDefinition, ConstraintDefinition, Definitions, IndexDefinition, Lsn, SchemaChange,
    TableDefinition,
};

use super::given::{Place, insert, items, load, relation, source, stored, table, update};
use crate::target::{StoredState, Target, TargetError};

fn numbered(mut table: TableDefinition) -> TableDefinition {
    for (number, column) in (1..).zip(&mut table.columns) {
        column.number = number;
    }
    table
}

fn definitions(table: &TableDefinition) -> Definitions {
    Definitions { tables: vec![table.clone()], ..Definitions::default() }
}

fn change(before: Option<&TableDefinition>, after: Option<&TableDefinition>) -> SchemaChange {
    let (before, after) = (before.map(definitions), after.map(definitions));
    let dropped = after.is_none();
    SchemaChange { oid: 1000, before, after, dropped, rows_needed: false }
}

async fn altered(place: &Place, changes: &[SchemaChange]) -> Result<(), TargetError> {
    let mut target = place.open().await;
    target.stored(&source()).await?;
    target.begin().await?;
    for change in changes {
        target.alter(&source(), Lsn::new(200), change).await?;
    }
    target.commit(&source(), &stored(200, StoredState::Ready)).await?;
    target.close().await;
    Ok(())
}

/// A table of the file, whatever the order of its columns.
fn contents(place: &Place, table: &str) -> Vec<String> {
    let columns = format!(
        "SELECT name, type FROM pragma_table_xinfo('{table}') WHERE name <> 'tailwater_no_columns' ORDER BY 1"
    );
    let columns = place.rows(&columns);
    let names: Vec<&str> = columns.iter().filter_map(|column| column.split('\'').nth(1)).collect();
    // A key that is the row's own number is as good as an index.
    let indexes = format!(
        "SELECT i.\"unique\", (SELECT group_concat(name) FROM pragma_index_info(i.name)) FROM pragma_index_list('{table}') i
         UNION SELECT 1, name FROM pragma_table_xinfo('{table}') WHERE pk ORDER BY 1, 2"
    );
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let values = if names.is_empty() { "1".into() } else { names.join(", ") };
    let rows = format!("SELECT {values} FROM \"{table}\" ORDER BY {values}");
    let mut indexes = place.rows(&indexes);
    // One that a unique one does the work of may have been there first.
    let unique: Vec<String> =
        indexes.iter().filter_map(|index| index.strip_prefix("1|")).map(str::to_owned).collect();
    indexes.retain(|index| index.strip_prefix("0|").is_none_or(|of| !unique.contains(&of.into())));
    [columns.clone(), indexes, place.rows(&rows)].concat()
}

#[tokio::test]
async fn rows_around_a_change_meet_the_table_as_it_is_then() {
    let (place, before) = (Place::new(), numbered(items()));
    place.loaded(&[(before.clone(), "1\ta\t1\n")]).await;
    let mut after = before.clone();
    after.columns[1].name = "remark".into();
    after.columns.remove(2);
    let new = table("x", &[("at", "timestamp with time zone", "timestamptz", -1)], &[]);
    after.columns.extend(new.columns);
    after.columns[2].number = 4;
    after.columns[2].missing = Some("2024-01-01 10:00:00+00".into());
    let mut target = place.open().await;
    target.stored(&source()).await.unwrap();
    target.begin().await.unwrap();
    let (old, new) = (relation(&before), relation(&after));
    target.apply(vec![insert(&old, &["2", "b", "2"])]).await.unwrap();
    target.alter(&source(), Lsn::new(200), &change(Some(&before), Some(&after))).await.unwrap();
    let rows = vec![
        insert(&new, &["3", "c", "2025-01-01 00:00:00+00"]),
        update(&new, None, &["1", "A", "~"]),
    ];
    target.apply(rows).await.unwrap();
    target.commit(&source(), &stored(200, StoredState::Ready)).await.unwrap();
    target.close().await;
    assert_eq!(
        place.rows("SELECT id, remark, at FROM items ORDER BY id"),
        [
            "1|'A'|'2024-01-01T10:00:00Z'",
            "2|'b'|'2024-01-01T10:00:00Z'",
            "3|'c'|'2025-01-01T00:00:00Z'"
        ]
    );
}

#[tokio::test]
async fn tables_come_move_and_go() {
    let (place, made) = (Place::new(), numbered(items()));
    place.loaded(&[]).await;
    altered(&place, &[change(None, Some(&made))]).await.unwrap();
    place.apply(vec![insert(&relation(&made), &["1", "a", "1"])]).await.unwrap();
    let mut moved = made.clone();
    (moved.schema, moved.name) = ("shop".into(), "goods".into());
    altered(&place, &[change(Some(&made), Some(&moved))]).await.unwrap();
    assert_eq!(place.rows("SELECT * FROM \"shop.goods\""), ["1|'a'|1"]);
    assert_eq!(place.rows("SELECT name FROM tailwater_tables"), ["'shop.goods'"]);
    altered(&place, &[change(Some(&moved), None)]).await.unwrap();
    let left = "SELECT name FROM sqlite_schema WHERE name LIKE '%goods%' OR name LIKE '%items%'";
    assert_eq!(place.rows(left), [""; 0]);
    assert_eq!(place.rows("SELECT name FROM tailwater_tables"), [""; 0]);
    let left = SchemaChange { dropped: false, ..change(Some(&moved), None) };
    altered(&place, &[left]).await.unwrap();
}

#[tokio::test]
async fn what_the_user_made_stays_or_is_named() {
    let (place, before) = (Place::new(), numbered(items()));
    place.loaded(&[(before.clone(), "1\ta\t1\n")]).await;
    let own = "ALTER TABLE items ADD COLUMN own TEXT DEFAULT 'mine';
        CREATE INDEX own ON items (own); CREATE VIEW notes AS SELECT note FROM items;
        CREATE TRIGGER own AFTER DELETE ON items BEGIN SELECT 1; END";
    place.look().execute_batch(own).unwrap();
    // The key goes, so that the table is made anew.
    let mut after = before.clone();
    after.primary_key.clear();
    after.constraints.clear();
    (after.replica_identity, after.identity_columns) = ('n', Vec::new());
    altered(&place, &[change(Some(&before), Some(&after))]).await.unwrap();
    assert_eq!(place.rows("SELECT *, (SELECT note FROM notes) FROM items"), ["1|'a'|1|'mine'|'a'"]);
    assert_eq!(place.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'own'"), ["2"]);
    assert_eq!(place.rows("SELECT sum(pk) FROM pragma_table_info('items')"), ["0"]);
    let mut narrower = after.clone();
    narrower.columns.remove(1);
    for change in [change(Some(&after), Some(&narrower)), change(Some(&after), None)] {
        let error = altered(&place, &[change]).await.unwrap_err().to_string();
        assert!(error.contains("notes") && error.contains("then pull again"), "{error}");
        assert!(error.contains("at 0/C8") && error.contains("public.items"), "{error}");
    }
    assert_eq!(place.rows("SELECT note FROM notes"), ["'a'"], "nothing of it was applied");
}

#[tokio::test]
async fn values_that_only_a_load_knows_are_asked_for() {
    let (place, before) = (Place::new(), numbered(items()));
    place.loaded(&[(before.clone(), "1\ta\t1\n")]).await;
    let mut after = before.clone();
    after.columns[1].base_type = "bytea".into();
    let error = altered(&place, &[change(Some(&before), Some(&after))]).await.unwrap_err();
    assert!(error.to_string().contains("tailwater-terminal reload"), "{error}");
}

/// Types of before and now, between which PostgreSQL rewrites nothing, and a value in both.
const TYPES: [[(&str, &str, i32); 2]; 6] = [
    [("bigint", "int8", -1); 2],
    [("text", "text", -1); 2],
    [("numeric(5,0)", "numeric", (5 << 16) + 4); 2],
    [("numeric(5,0)", "numeric", (5 << 16) + 4), ("numeric", "numeric", -1)],
    [
        ("timestamp without time zone", "timestamp", -1),
        ("timestamp with time zone", "timestamptz", -1),
    ],
    [("integer[]", "_int4", -1); 2],
];

fn value(base: &str, row: usize, number: i16) -> String {
    match base {
        "timestamp" => format!("2024-01-0{row} 10:00:0{number}"),
        "timestamptz" => format!("2024-01-0{row} 10:00:0{number}+00"),
        "_int4" => format!("{{{row},NULL,{number}}}"),
        _ => format!("{}", 10 * row + usize::try_from(number).unwrap()),
    }
}

/// A table in one of two states: columns by number, names, key, unique columns.
#[derive(Clone, Debug)]
struct State {
    numbers: Vec<i16>,
    names: Vec<&'static str>,
    key: Option<usize>,
    unique: Vec<usize>,
    indexed: Vec<usize>,
}

fn state() -> impl Strategy<Value = State> {
    let names = vec!["a", "b", "c", "d", "e", "f", "g", "order"];
    let places = || subsequence((0..6_usize).collect::<Vec<_>>(), 0..3);
    (
        subsequence((1..=6_i16).collect::<Vec<_>>(), 1..=6),
        Just(names).prop_shuffle(),
        proptest::option::of(0..6_usize),
        places(),
        places(),
    )
        .prop_map(|(numbers, names, key, unique, indexed)| {
            let key = key.filter(|at| *at < numbers.len());
            State { numbers, names, key, unique, indexed }
        })
}

impl State {
    fn definition(&self, types: &[usize], now: usize, missing: bool) -> TableDefinition {
        let mut of = table("t", &[], &[]);
        for (at, number) in self.numbers.iter().enumerate() {
            let (type_sql, base_type, base_modifier) =
                TYPES[types[usize::try_from(*number).unwrap() - 1]][now];
            let missing = (missing && number % 2 == 0).then(|| value(base_type, 9, *number));
            let column = table("x", &[(self.names[at], type_sql, base_type, base_modifier)], &[]);
            let column = column.columns.into_iter().next().unwrap();
            of.columns.push(ColumnDefinition { number: *number, missing, ..column });
        }
        let name = |at: &usize| of.columns.get(*at).map(|column| column.name.clone());
        of.primary_key = self.key.iter().filter_map(name).collect();
        let columns = of.primary_key.clone();
        (of.replica_identity, of.identity_columns) = ('n', Vec::new());
        let key = |kind, columns: Vec<String>| ConstraintDefinition {
            name: format!("t_{}", columns.join("_")),
            kind,
            definition: String::new(),
            columns,
        };
        of.constraints = (!columns.is_empty()).then(|| key('p', columns)).into_iter().collect();
        of.constraints.extend(self.unique.iter().filter_map(name).map(|of| key('u', vec![of])));
        let index = |column: String| IndexDefinition {
            name: format!("i_{column}"),
            definition: String::new(),
            unique: false,
            columns: vec![column],
        };
        of.indexes = self.indexed.iter().filter_map(name).map(index).collect();
        of
    }
}

/// Rows as COPY prints them; a column that was not there `before` has in all what was missing.
fn rows(of: &TableDefinition, before: Option<&TableDefinition>) -> String {
    let row = |row: usize| {
        let value = |column: &ColumnDefinition| {
            let was = |was: &TableDefinition| was.columns.iter().any(|w| w.number == column.number);
            match before.is_none_or(was) {
                true => value(&column.base_type, row, column.number),
                false => column.missing.clone().unwrap_or("\\N".into()),
            }
        };
        of.columns.iter().map(value).collect::<Vec<_>>().join("\t") + "\n"
    };
    (1..=3).map(row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_file_that_followed_is_as_one_that_is_loaded_anew(
        before in state(),
        after in state(),
        types in proptest::collection::vec(0..TYPES.len(), 6),
    ) {
        let was = before.definition(&types, 0, false);
        let mut is = after.definition(&types, 1, true);
        // A key over what is the same in all rows could not be made on the master.
        let new = |name: &String| {
            let column = is.columns.iter().find(|column| column.name == *name).unwrap();
            !was.columns.iter().any(|was| was.number == column.number)
        };
        let old = |columns: &[String]| !columns.iter().any(new);
        let constraints: Vec<_> =
            is.constraints.iter().filter(|key| old(&key.columns)).cloned().collect();
        let key = is.primary_key.iter().filter(|name| !new(name)).cloned().collect();
        (is.constraints, is.primary_key) = (constraints, key);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (followed, anew) = runtime.block_on(async {
            let (followed, anew) = (Place::new(), Place::new());
            followed.loaded(&[(was.clone(), &rows(&was, None))]).await;
            altered(&followed, &[change(Some(&was), Some(&is))]).await.unwrap();
            let mut target = anew.open().await;
            load(&mut target, &[(is.clone(), &rows(&is, Some(&was)))]).await.unwrap();
            target.close().await;
            (followed, anew)
        });
        prop_assert_eq!(contents(&followed, "t"), contents(&anew, "t"));
    }
}
