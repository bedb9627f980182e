use rusqlite::{Connection, OptionalExtension};
use wire::TableDefinition;

use super::{
    create::is_deferrable,
    names::{quote, table_name},
    shape::Shape,
};

/// An index to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct IndexSql {
    pub(in super::super) name: String,
    pub(in super::super) unique: bool,
    pub(in super::super) columns: Vec<String>,
    /// Whether it is the primary key's.
    pub(in super::super) primary: bool,
}

/// What a definition's keys and indexes on plain columns become; the primary key first. A deferrable
/// key may be violated in the middle of a transaction, so it gives an index that is not unique.
pub(in super::super) fn indexes_of(definition: &TableDefinition) -> Vec<IndexSql> {
    let name = |name: &str| table_name(&definition.schema, name);
    let keys = definition.constraints.iter().filter(|c| matches!(c.kind, 'p' | 'u'));
    let mut indexes: Vec<IndexSql> = keys
        .map(|constraint| IndexSql {
            name: name(&constraint.name),
            unique: !is_deferrable(&constraint.definition),
            columns: constraint.columns.clone(),
            primary: constraint.kind == 'p',
        })
        .collect();
    if !definition.primary_key.is_empty() && !indexes.iter().any(|index| index.primary) {
        indexes.push(IndexSql {
            name: name(&format!("{}_pkey", definition.name)),
            unique: true,
            columns: definition.primary_key.clone(),
            primary: true,
        });
    }
    indexes.extend(definition.indexes.iter().map(|index| IndexSql {
        name: name(&index.name),
        unique: index.unique,
        columns: index.columns.clone(),
        primary: false,
    }));
    indexes.retain(|index| !index.columns.is_empty());
    indexes.sort_by_key(|index| !index.primary);
    indexes
}

/// Makes an index, unless the table has one that does the same, or lacks a column of it.
pub(in super::super) fn create_index(
    connection: &Connection,
    shape: &Shape,
    index: &IndexSql,
) -> rusqlite::Result<()> {
    let lacks = |column: &String| shape.column(column).is_none();
    if shape.has_index(&index.columns, index.unique) || index.columns.iter().any(lacks) {
        return Ok(());
    }
    let columns: Vec<String> = index.columns.iter().map(|column| quote(column)).collect();
    let sql = format!(
        "CREATE {}INDEX {} ON {} ({})",
        if index.unique { "UNIQUE " } else { "" },
        quote(&free_name(connection, &index.name)?),
        quote(&shape.name),
        columns.join(", ")
    );
    connection.execute_batch(&sql)
}

/// Tables and indexes of all schemas share one space of names here.
fn free_name(connection: &Connection, wanted: &str) -> rusqlite::Result<String> {
    let mut taken =
        connection.prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE")?;
    let mut name = wanted.to_owned();
    let mut number = 1_u32;
    while taken.query_row([&name], |_| Ok(())).optional()?.is_some() {
        number += 1;
        name = format!("{wanted}_{number}");
    }
    Ok(name)
}
