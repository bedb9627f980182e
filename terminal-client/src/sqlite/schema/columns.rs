use wire::TableDefinition;

use super::{super::values::Kind, create::ColumnSql, generated::same_in_sqlite};

/// The columns to make, in the definition's order: those that are sent, and generated ones that SQLite
/// computes as PostgreSQL does. Others are left out, for nobody sends their values: [`tell_left_out`].
pub(in super::super) fn with_generated(
    definition: &TableDefinition,
    sent: &[ColumnSql],
) -> Vec<ColumnSql> {
    let sent_one = |name: &str| sent.iter().find(|column| column.name == name);
    let is_integer = |name: &str| sent_one(name).is_some_and(|column| column.kind == Kind::Integer);
    let made = definition.columns.iter().filter_map(|column| {
        if let Some(sent) = sent_one(&column.name) {
            return Some(sent.clone());
        }
        let kind = Kind::of_definition(column);
        let same = |expression: &String| same_in_sqlite(expression, is_integer);
        let generated = column.generated.as_ref().filter(|_| kind == Kind::Integer).and_then(same);
        Some(ColumnSql { name: column.name.clone(), kind, generated: Some(generated?) })
    });
    made.collect()
}

/// Says which columns a table is made without.
pub(in super::super) fn tell_left_out(definition: &TableDefinition, made: &[ColumnSql]) {
    for column in &definition.columns {
        if !made.iter().any(|made| made.name == column.name) {
            let (table, column) = (&definition.name, &column.name);
            tracing::warn!(table, column, "made without this column, whose values are not sent");
        }
    }
}

/// The columns whose values the source sends.
pub(in super::super) fn sent_columns(definition: &TableDefinition) -> Vec<ColumnSql> {
    let sent = definition.columns.iter().filter(|column| column.generated.is_none());
    sent.map(|column| ColumnSql::sent(&column.name, Kind::of_definition(column))).collect()
}
