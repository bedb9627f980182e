use wire::{ColumnDefinition, IdentityKind, PartitionOf, TableDefinition};

use super::tables::table_sql;

fn column(name: &str, type_sql: &str) -> ColumnDefinition {
    ColumnDefinition {
        number: 1,
        name: name.into(),
        type_sql: type_sql.into(),
        base_type: type_sql.into(),
        base_modifier: -1,
        not_null: false,
        default: Some("1".into()),
        generated: None,
        identity: None,
        collation: None,
        missing: None,
    }
}

fn table(name: &str, columns: Vec<ColumnDefinition>) -> TableDefinition {
    TableDefinition {
        oid: 1,
        schema: "public".into(),
        name: name.into(),
        replica_identity: 'd',
        columns,
        primary_key: Vec::new(),
        identity_columns: Vec::new(),
        constraints: Vec::new(),
        indexes: Vec::new(),
        partition_by: None,
        partition_of: None,
    }
}

#[test]
fn columns_come_with_all_but_their_defaults() {
    let columns = vec![
        ColumnDefinition {
            identity: Some(IdentityKind::Always),
            not_null: true,
            ..column("id", "bigint")
        },
        ColumnDefinition { generated: Some("(id * 2)".into()), ..column("twice", "bigint") },
        ColumnDefinition { collation: Some("pg_catalog.\"de_DE\"".into()), ..column("t", "text") },
    ];
    let table = table("t", columns);
    let begin = "CREATE TABLE \"public\".\"t\" (\"id\" bigint GENERATED ALWAYS AS IDENTITY NOT NULL, \
        \"twice\" bigint GENERATED ALWAYS AS ((id * 2)) STORED, \"t\" text";
    assert_eq!(table_sql(&table, None, true), format!("{begin} COLLATE pg_catalog.\"de_DE\")"));
    assert_eq!(table_sql(&table, None, false), format!("{begin})"));
}

#[test]
fn partitions_are_made_where_their_parent_comes_too() {
    let parent = TableDefinition {
        partition_by: Some("RANGE (at)".into()),
        ..table("p", vec![column("at", "date")])
    };
    let of = PartitionOf { schema: "public".into(), name: "p".into(), bound: "DEFAULT".into() };
    let part = TableDefinition {
        partition_of: Some(of.clone()),
        ..table("p1", vec![column("at", "date")])
    };
    assert_eq!(
        table_sql(&parent, None, true),
        "CREATE TABLE \"public\".\"p\" (\"at\" date) PARTITION BY RANGE (at)"
    );
    assert_eq!(
        table_sql(&part, Some(&of), true),
        "CREATE TABLE \"public\".\"p1\" PARTITION OF \"public\".\"p\" DEFAULT"
    );
    assert_eq!(table_sql(&part, None, true), "CREATE TABLE \"public\".\"p1\" (\"at\" date)");
}

#[test]
fn a_table_without_columns_can_be() {
    let table = table("e", Vec::new());
    assert_eq!(table_sql(&table, None, true), "CREATE TABLE \"public\".\"e\" ()");
}
