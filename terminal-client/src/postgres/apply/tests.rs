use std::sync::Arc;

use bytes::Bytes;
use wire::{
    Change, Lsn, OldRow, Relation, RelationColumn, ReplicaIdentity, Tuple, TypeName, Value,
};

use super::{
    super::catalog::{Array, Column, Table},
    binding::Binding,
    statement::{row_statement, shape},
    truncate::truncate_sql,
};
use crate::target::Operation;

const COLUMNS: [(&str, &str); 4] =
    [("id", "int4"), ("name", "text"), ("doc", "json"), ("twice", "int4")];

fn relation(identity: ReplicaIdentity) -> Arc<Relation> {
    let column = |(name, of): (&str, &str)| RelationColumn {
        name: name.into(),
        key: identity == ReplicaIdentity::Full || name == "id",
        type_name: TypeName { schema: "pg_catalog".into(), name: of.into() },
        type_oid: 0,
        type_modifier: -1,
    };
    Arc::new(Relation {
        oid: 1,
        schema: "sa les".into(),
        name: "o\"rders".into(),
        identity,
        columns: COLUMNS.map(column).to_vec(),
    })
}

fn table(identity_always: bool, primary_key: &[&str]) -> Table {
    let column = |(name, of): (&str, &str)| Column {
        name: name.into(),
        type_sql: of.into(),
        base_type: of.into(),
        type_name: format!("pg_catalog.{of}"),
        array: Some(Array { type_name: format!("pg_catalog._{of}"), delimiter: b',' }),
        own_type: Some(of.into()),
        generated: name == "twice",
        needed: false,
        identity_always: identity_always && name == "id",
        equals: None,
    };
    Table {
        one_by_one: false,
        unique: Vec::new(),
        schema: "sa les".into(),
        name: "o\"rders".into(),
        kind: 'r',
        columns: COLUMNS.map(column).into_iter().collect(),
        primary_key: primary_key.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn binding(identity: ReplicaIdentity, table: &Table) -> Binding {
    Binding::new("target", &relation(identity), table).unwrap()
}

fn text(text: &'static str) -> Value {
    Value::Text(Bytes::from_static(text.as_bytes()))
}

fn row() -> Tuple {
    vec![text("1"), text("n"), text("{}"), text("2")]
}

fn sql(change: &Change<Arc<Relation>>, binding: &Binding) -> (String, usize) {
    let made = row_statement(change, binding, false).unwrap();
    let again = row_statement(change, binding, true).unwrap();
    assert_eq!(again.params.len(), made.params.len(), "a known shape gives the same parameters");
    (made.sql, made.params.len())
}

fn update(old: Option<OldRow>, new: Tuple) -> Change<Arc<Relation>> {
    Change::Update { relation: relation(ReplicaIdentity::Default), old, new }
}

const T: &str = "\"sa les\".\"o\"\"rders\"";

#[test]
fn inserts_leave_generated_columns_to_the_target() {
    let change = Change::Insert { relation: relation(ReplicaIdentity::Default), new: row() };
    let plain = binding(ReplicaIdentity::Default, &table(false, &["id"]));
    let expected = format!("INSERT INTO {T} (\"id\", \"name\", \"doc\") VALUES ($1, $2, $3)");
    assert_eq!(sql(&change, &plain), (expected, 3));
    let always = binding(ReplicaIdentity::Default, &table(true, &["id"]));
    let (made, _) = sql(&change, &always);
    assert!(made.contains(") OVERRIDING SYSTEM VALUE VALUES ("), "{made}");
}

#[test]
fn updates_set_what_came_and_know_the_row_by_its_key() {
    let binding = binding(ReplicaIdentity::Default, &table(false, &["id"]));
    let toast = vec![text("1"), text("n"), Value::Unchanged, text("2")];
    let expected = format!("UPDATE {T} SET \"name\" = $1 WHERE \"id\" = $2");
    assert_eq!(sql(&update(None, toast), &binding), (expected, 2));
    let key = OldRow::Key(vec![text("0"), Value::Null, Value::Null, Value::Null]);
    let expected =
        format!("UPDATE {T} SET \"id\" = $1, \"name\" = $2, \"doc\" = $3 WHERE \"id\" = $4");
    assert_eq!(sql(&update(Some(key), row()), &binding), (expected, 4));
}

#[test]
fn an_update_without_anything_to_set_still_needs_its_row() {
    let binding = binding(ReplicaIdentity::Default, &table(false, &["id"]));
    let nothing = vec![text("1"), Value::Unchanged, Value::Unchanged, text("2")];
    let expected = format!("SELECT 1 FROM {T} WHERE \"id\" = $1");
    assert_eq!(sql(&update(None, nothing), &binding), (expected, 1));
}

#[test]
fn a_new_key_of_an_identity_column_replaces_the_row() {
    let binding = binding(ReplicaIdentity::Default, &table(true, &["id"]));
    let key = || OldRow::Key(vec![text("0"), Value::Null, Value::Null, Value::Null]);
    let toast = vec![text("1"), text("n"), Value::Unchanged, text("2")];
    let expected = format!(
        "WITH old AS (DELETE FROM {T} WHERE \"id\" = $1 RETURNING *) INSERT INTO {T} (\"id\", \"name\", \"doc\") OVERRIDING SYSTEM VALUE SELECT $2, $3, old.\"doc\" FROM old"
    );
    assert_eq!(sql(&update(Some(key()), toast.clone()), &binding), (expected, 3));
    let expected = format!("UPDATE {T} SET \"name\" = $1 WHERE \"id\" = $2");
    assert_eq!(sql(&update(None, toast), &binding), (expected, 2));
}

#[test]
fn an_identity_column_beside_the_key_is_replaced_only_where_it_changed() {
    let mut table = table(false, &["id"]);
    let name = table.columns.iter_mut().find(|column| column.name == "name").unwrap();
    name.identity_always = true;
    table.columns.push(Column { name: "own".into(), ..table_column("text") });
    let binding = binding(ReplicaIdentity::Default, &table);
    let toast = vec![text("1"), text("n"), Value::Unchanged, text("2")];
    let expected = format!(
        "WITH same AS (SELECT 1 FROM {T} WHERE \"id\" = $1 AND \"name\" IS NOT DISTINCT FROM $2), \
         old AS (DELETE FROM {T} WHERE \"id\" = $3 AND NOT (\"name\" IS NOT DISTINCT FROM $4) RETURNING *), \
         put AS (INSERT INTO {T} (\"id\", \"name\", \"doc\", \"own\") OVERRIDING SYSTEM VALUE SELECT $5, $6, old.\"doc\", old.\"own\" FROM old RETURNING 1) \
         SELECT FROM same UNION ALL SELECT FROM put"
    );
    assert_eq!(sql(&update(None, toast), &binding), (expected, 6));
    let (made, _) = sql(&update(None, row()), &binding);
    assert!(made.contains("UPDATE") && made.contains("RETURNING 1), old AS"), "{made}");
}

#[test]
fn without_a_key_exactly_one_of_the_same_rows_is_met() {
    let binding = binding(ReplicaIdentity::Full, &table(false, &[]));
    let old = OldRow::Full(vec![text("1"), Value::Null, text("{}"), text("2")]);
    let delete = Change::Delete { relation: relation(ReplicaIdentity::Full), old };
    let expected = format!(
        "DELETE FROM {T} WHERE (ctid) = (SELECT ctid FROM {T} WHERE true AND \"id\" = $1 AND \"name\" IS NOT DISTINCT FROM NULL AND concat(\"doc\") = $2::text AND \"twice\" = $3 LIMIT 1)"
    );
    assert_eq!(sql(&delete, &binding), (expected, 3));
}

#[test]
fn full_identity_uses_the_targets_primary_key_where_there_is_one() {
    let binding = binding(ReplicaIdentity::Full, &table(false, &["id"]));
    let delete =
        Change::Delete { relation: relation(ReplicaIdentity::Full), old: OldRow::Full(row()) };
    assert_eq!(sql(&delete, &binding), (format!("DELETE FROM {T} WHERE \"id\" = $1"), 1));
}

#[test]
fn what_cannot_name_its_row_is_refused() {
    let binding = binding(ReplicaIdentity::Nothing, &table(false, &[]));
    let error = row_statement(&update(None, vec![Value::Null]), &binding, false).unwrap_err();
    assert!(error.to_string().contains("1 values for the 4 columns"), "{error}");
    let unchanged = vec![Value::Unchanged, text("n"), text("{}"), text("2")];
    let error = row_statement(&update(None, unchanged), &binding, false).unwrap_err();
    assert!(error.to_string().contains("\"id\""), "{error}");
}

#[test]
fn same_shape_same_statement() {
    let table = table(false, &[]);
    let (keyed, full) =
        (binding(ReplicaIdentity::Default, &table), binding(ReplicaIdentity::Full, &table));
    let null = vec![text("1"), Value::Null, text("{}"), text("2")];
    let toast = vec![text("1"), text("n"), Value::Unchanged, text("2")];
    let of = |old: Option<&Tuple>, new: &Tuple| update(old.cloned().map(OldRow::Full), new.clone());
    let changes = [
        of(None, &row()),
        of(None, &toast),
        of(Some(&row()), &row()),
        of(Some(&null), &row()),
        of(Some(&null), &toast),
        Change::Delete { relation: relation(ReplicaIdentity::Full), old: OldRow::Full(row()) },
        Change::Delete {
            relation: relation(ReplicaIdentity::Full),
            old: OldRow::Full(null.clone()),
        },
        Change::Insert { relation: relation(ReplicaIdentity::Full), new: row() },
    ];
    let key = |change: &Change<Arc<Relation>>, binding: &Binding| {
        let mut out = Vec::new();
        shape(change, binding, &mut out);
        out
    };
    for binding in [&keyed, &full] {
        for a in &changes {
            for b in &changes {
                let same_sql = sql(a, binding).0 == sql(b, binding).0;
                let same_shape = key(a, binding) == key(b, binding);
                assert!(!same_shape || same_sql, "{a:?} and {b:?} share a shape only");
            }
        }
    }
}

#[test]
fn truncates_of_one_statement_are_joined_again() {
    let truncate = |lsn, cascade| Operation {
        lsn: Lsn::new(lsn),
        change: Change::Truncate {
            relations: vec![relation(ReplicaIdentity::Default)],
            cascade,
            restart_identity: true,
        },
    };
    let (joined, used) = truncate_sql(&[truncate(1, true), truncate(1, true), truncate(2, true)]);
    assert_eq!((joined.relations.len(), used), (2, 2));
    assert_eq!(joined.sql(&["a".into(), "b".into()]), "TRUNCATE a, b RESTART IDENTITY CASCADE");
    let (joined, used) = truncate_sql(&[truncate(1, false), truncate(1, true)]);
    assert_eq!((joined.relations.len(), used), (1, 1));
}

#[test]
fn a_missing_column_is_named_with_the_sql_that_adds_it() {
    let mut table = table(false, &["id"]);
    table.columns.retain(|column| column.name != "doc");
    let error = Binding::new("target", &relation(ReplicaIdentity::Default), &table).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("no column \"doc\""), "{error}");
    assert!(
        error.contains(&format!("ALTER TABLE {T} ADD COLUMN \"doc\" pg_catalog.json")),
        "{error}"
    );
    assert!(error.contains("`tailwater-terminal reload`"), "{error}");
    table.columns.push(Column { name: "document".into(), ..table_column("json") });
    let error = Binding::new("target", &relation(ReplicaIdentity::Default), &table).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains(&format!(
            "new name of \"document\": ALTER TABLE {T} RENAME COLUMN … TO \"doc\""
        )),
        "{error}"
    );
}

fn table_column(of: &str) -> Column {
    Column {
        name: String::new(),
        type_sql: of.into(),
        base_type: of.into(),
        type_name: format!("pg_catalog.{of}"),
        array: None,
        own_type: Some(of.into()),
        generated: false,
        needed: false,
        identity_always: false,
        equals: None,
    }
}
