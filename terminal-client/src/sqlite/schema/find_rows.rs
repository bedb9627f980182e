use rusqlite::Connection;
use wire::TableDefinition;

use super::{
    indexes::{IndexSql, create_index, indexes_of},
    shape::Shape,
};

/// Columns of an index over whole rows. What is behind them only separates rows that are alike in
/// so many columns.
const ROW_INDEX_COLUMNS: usize = 60;

/// Whether a row is found by the values of all its columns without looking at all rows: a key
/// whose columns are never NULL separates them.
pub(in super::super) fn rows_are_found(shape: &Shape, definition: &TableDefinition) -> bool {
    let never_null = |name: &String| {
        definition.columns.iter().any(|column| column.name == *name && column.not_null)
    };
    let primary = &definition.primary_key;
    let unique = definition.constraints.iter().map(|constraint| &constraint.columns);
    let unique = unique.chain(definition.indexes.iter().map(|index| &index.columns));
    let separates = |columns: &Vec<String>| {
        !columns.is_empty() && columns.iter().all(never_null) && shape.has_index(columns, true)
    };
    !primary.is_empty() && shape.has_index(primary, false) || unique.into_iter().any(separates)
}

/// Makes an index for rows that are found by the values of `columns`, unless there is one: without it
/// each update would look at all rows.
pub(in super::super) fn ensure_row_index(
    connection: &Connection,
    shape: &Shape,
    columns: &[String],
) -> rusqlite::Result<()> {
    let columns: Vec<String> = columns.iter().take(ROW_INDEX_COLUMNS).cloned().collect();
    if columns.is_empty() || shape.has_index(&columns, false) {
        return Ok(());
    }
    tracing::info!(table = shape.name, "indexing the columns that its rows are found by");
    let name = format!("tailwater_row_{}", shape.name);
    create_index(connection, shape, &IndexSql { name, unique: false, columns, primary: false })
}

/// Makes what a definition's keys and indexes become, or (`needed`) those only by which changes find
/// their rows.
pub(in super::super) fn make_indexes(
    connection: &Connection,
    table: &str,
    definition: &TableDefinition,
    needed: bool,
) -> rusqlite::Result<()> {
    for index in indexes_of(definition).iter().filter(|index| !needed || index.primary) {
        // Read anew each time: two of the source's indexes may come to the same here.
        let Some(shape) = Shape::read(connection, table)? else { continue };
        create_index(connection, &shape, index)?;
    }
    let Some(shape) = Shape::read(connection, table)? else { return Ok(()) };
    match definition.replica_identity {
        'n' => Ok(()),
        'f' if rows_are_found(&shape, definition) => Ok(()),
        _ => ensure_row_index(connection, &shape, &definition.identity_columns),
    }
}
