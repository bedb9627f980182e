//! Schema changes among rows.

use std::sync::Arc;

use bytes::Bytes;
use wire::{
    Change, ChannelName, Definitions, Lsn, Relation, RelationColumn, ReplicaIdentity, SCHEMA,
    SCHEMA_CHANGE_COLUMN, SCHEMA_CHANGES, SchemaChange, TableDefinition, TypeName, Value,
};

use super::{
    super::error::PullError,
    applying::{Changed, History, applied, relation, runs},
    recorder::Done,
};

fn row() -> Changed {
    Change::Insert { relation: relation(), new: vec![Value::Text(Bytes::from_static(b"1"))] }
}

fn table() -> TableDefinition {
    TableDefinition {
        oid: 1,
        schema: "public".into(),
        name: "t".into(),
        replica_identity: 'd',
        columns: Vec::new(),
        primary_key: Vec::new(),
        identity_columns: Vec::new(),
        constraints: Vec::new(),
        indexes: Vec::new(),
        partition_by: None,
        partition_of: None,
    }
}

/// A row of `tailwater.schema_changes`, whose other column is none of ours.
fn schema_row(text: &str) -> Changed {
    let column = |name: &str| RelationColumn {
        name: name.into(),
        key: false,
        type_name: TypeName { schema: "pg_catalog".into(), name: "jsonb".into() },
        type_oid: 3802,
        type_modifier: -1,
    };
    let relation = Relation {
        oid: 9,
        schema: SCHEMA.into(),
        name: SCHEMA_CHANGES.into(),
        identity: ReplicaIdentity::Nothing,
        columns: vec![column("at"), column(SCHEMA_CHANGE_COLUMN)],
    };
    let new = vec![Value::Null, Value::Text(Bytes::copy_from_slice(text.as_bytes()))];
    Change::Insert { relation: (relation.id(), Arc::new(relation)), new }
}

fn altered(rows_needed: bool) -> String {
    let definitions = Some(Definitions { tables: vec![table()], ..Definitions::default() });
    let change = SchemaChange {
        oid: 1,
        before: definitions.clone(),
        after: definitions,
        dropped: false,
        rows_needed,
    };
    serde_json::to_string(&change).unwrap()
}

/// One transaction of these changes, the schema's in that channel, between two with one row each.
fn history(change: &str, channel: &ChannelName) -> wire::Slice {
    let mut history = History::new();
    let rows = ChannelName::default_channel();
    history.push(10, &rows, &[row()]);
    history.push_all(20, &[(&rows, row()), (channel, schema_row(change)), (&rows, row())]);
    history.push(30, &rows, &[row()]);
    history.0.finish(Lsn::new(30)).unwrap()
}

#[tokio::test]
async fn a_change_of_a_table_stands_among_the_rows_and_alone_in_its_transaction() {
    let slice = history(&altered(false), &ChannelName::control());
    let (done, _, result) = applied(1_000, &[&[slice]], false).await;
    result.unwrap();
    let expected = vec![
        Done::Begin,
        runs(&[(10, 1)]),
        Done::Commit(Lsn::new(10)),
        Done::Begin,
        runs(&[(20, 1)]),
        Done::Alter(Lsn::new(20), "public.t".into()),
        runs(&[(20, 1)]),
        Done::Commit(Lsn::new(20)),
        Done::Begin,
        runs(&[(30, 1)]),
        Done::Commit(Lsn::new(30)),
    ];
    assert_eq!(done, expected);
}

#[tokio::test]
async fn in_another_channel_it_is_a_row() {
    let slice = history(&altered(false), &ChannelName::default_channel());
    let (done, _, result) = applied(1_000, &[&[slice]], false).await;
    result.unwrap();
    // A definition that was not met is, behind what comes before it.
    let expected = vec![
        Done::Begin,
        runs(&[(10, 1), (20, 1)]),
        runs(&[(20, 2), (30, 1)]),
        Done::Commit(Lsn::new(30)),
    ];
    assert_eq!(done, expected);
}

#[tokio::test]
async fn where_rows_are_missing_it_stops_before_the_transaction() {
    let slice = history(&altered(true), &ChannelName::control());
    let (done, stored, result) = applied(1_000, &[&[slice]], false).await;
    let error = result.unwrap_err();
    assert!(matches!(error, PullError::RowsNeeded { .. }), "{error}");
    assert!(error.to_string().contains("table public.t of source orders: at 0/14"), "{error}");
    assert_eq!(stored.position.lsn, Lsn::new(10));
    let commits: Vec<&Done> = done.iter().filter(|done| matches!(done, Done::Commit(_))).collect();
    assert_eq!(commits, [&Done::Commit(Lsn::new(10))]);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_passed_over() {
    for text in ["{}", "nonsense"] {
        let slice = history(text, &ChannelName::control());
        let (_, stored, result) = applied(1_000, &[&[slice]], false).await;
        let error = result.unwrap_err();
        assert!(matches!(error, PullError::SchemaChange { .. }), "{error}");
        assert_eq!(stored.position.lsn, Lsn::new(10));
    }
}
