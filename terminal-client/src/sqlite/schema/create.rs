use wire::TableDefinition;

use super::{super::values::Kind, names::quote};

/// A column to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct ColumnSql {
    pub(in super::super) name: String,
    pub(in super::super) kind: Kind,
    /// SQLite's own expression for it, where the source does not send its values.
    pub(in super::super) generated: Option<String>,
}

impl ColumnSql {
    /// One whose values the source sends.
    pub(in super::super) fn sent(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, generated: None }
    }

    /// `"name" TYPE`.
    pub(in super::super) fn sql(&self) -> String {
        let sql = format!("{} {}", quote(&self.name), self.kind.declared());
        match &self.generated {
            Some(expression) => format!("{sql} GENERATED ALWAYS AS ({expression}) STORED"),
            None => sql,
        }
    }
}

/// SQLite has no table without columns; such a table of the source gets this one.
pub(in super::super) const NO_COLUMNS: &str = "tailwater_no_columns";

/// `CREATE TABLE`. There are no NOT NULL, CHECK, FOREIGN KEY and defaults: the source has checked its
/// rows, and may drop a constraint without the stream saying so. The primary key comes with the
/// indexes, except where it is the row's own number (`row_id`).
pub(in super::super) fn table_sql(
    name: &str,
    columns: &[ColumnSql],
    row_id: Option<&str>,
) -> String {
    let column = |column: &ColumnSql| match row_id == Some(column.name.as_str()) {
        true => format!("{} PRIMARY KEY", column.sql()),
        false => column.sql(),
    };
    let mut columns: Vec<String> = columns.iter().map(column).collect();
    if columns.is_empty() {
        columns.push(ColumnSql::sent(NO_COLUMNS, Kind::Bytes).sql());
    }
    format!("CREATE TABLE {} ({})", quote(name), columns.join(", "))
}

/// The column that can be the row's own number (`INTEGER PRIMARY KEY`): a key of one integer. A
/// deferrable key may be violated in the middle of a transaction, and numbers may not.
pub(in super::super) fn row_id_key<'a>(
    definition: &'a TableDefinition,
    columns: &[ColumnSql],
) -> Option<&'a str> {
    let [only] = definition.primary_key.as_slice() else { return None };
    let deferrable = definition
        .constraints
        .iter()
        .any(|constraint| constraint.kind == 'p' && is_deferrable(&constraint.definition));
    let integer = columns.iter().any(|column| {
        column.name == *only && column.kind == Kind::Integer && column.generated.is_none()
    });
    (integer && !deferrable).then_some(only.as_str())
}

/// From `pg_get_constraintdef`, which ends with it.
pub(super) fn is_deferrable(definition: &str) -> bool {
    definition.ends_with(" DEFERRABLE") || definition.ends_with(" INITIALLY DEFERRED")
}
