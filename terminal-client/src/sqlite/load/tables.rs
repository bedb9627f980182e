use std::collections::HashSet;

use wire::{Snapshot, SnapshotTable, SourceName, TableDefinition};

use super::{
    super::{
        database::Database,
        existing::check_existing,
        schema::{
            ColumnSql, Shape, is_ours, make_indexes, quote, row_id_key, shadow_table_name,
            table_name, table_sql, tell_left_out, with_generated, write_record,
        },
        values::Kind,
    },
    shadow::make_shadow,
};
use crate::target::{Named, TargetError};

/// A table of the load.
#[derive(Debug)]
pub(in super::super) struct LoadTable {
    /// Its name in SQLite.
    pub(in super::super) name: String,
    /// The table that the rows are loaded to: itself, or its shadow.
    pub(in super::super) into: String,
    pub(in super::super) definition: TableDefinition,
    /// The columns that the source sends.
    pub(in super::super) columns: Vec<ColumnSql>,
    /// Whether this load made it.
    made: bool,
}

impl LoadTable {
    /// One whose rows go to another that was made for them.
    pub(in super::super) fn staged(
        name: String,
        into: String,
        definition: TableDefinition,
        columns: Vec<ColumnSql>,
    ) -> Self {
        Self { name, into, definition, columns, made: false }
    }
}

/// The tables of the load. What has no rows of its own in the snapshot (the root of partitions that are
/// sent by themselves) is none. `made` says which ones the load made, `shadowed` whether it is a reload.
pub(in super::super) fn tables_of(
    database: &Database,
    snapshot: &Snapshot,
    made: &[Named],
    shadowed: bool,
) -> Result<Vec<LoadTable>, TargetError> {
    let mut names = HashSet::new();
    let mut tables = Vec::with_capacity(snapshot.tables.len());
    for table in &snapshot.tables {
        let definition = definition_of(database, snapshot, table)?;
        let columns = columns_of(database, table, definition)?;
        let name = table_name(&table.schema, &table.name);
        if is_ours(&name) || !names.insert(name.to_ascii_lowercase()) {
            let why = match is_ours(&name) {
                true => format!("SQLite or Tailwater keeps the name {} for itself", quote(&name)),
                false => {
                    format!("SQLite cannot tell its name {} from another table's", quote(&name))
                }
            };
            let advice = "leave it out with --channels, or rename it on the master";
            return Err(table_error(database, table, why, advice));
        }
        let made = made.contains(&Named::new(&table.schema, &table.name));
        let into = match shadowed {
            true => shadow_table_name(&table.schema, &table.name),
            false => name.clone(),
        };
        tables.push(LoadTable { name, into, definition: definition.clone(), columns, made });
    }
    Ok(tables)
}

/// Makes the snapshot's tables where they are missing, checks them where they are there; makes their
/// shadows for a reload.
pub(in super::super) fn prepare_tables(
    database: &Database,
    source: &SourceName,
    snapshot: &Snapshot,
    shadowed: bool,
) -> Result<Vec<LoadTable>, TargetError> {
    let mut tables = tables_of(database, snapshot, &[], shadowed)?;
    for (LoadTable { name, definition, columns, made, .. }, table) in
        tables.iter_mut().zip(&snapshot.tables)
    {
        let shape = Shape::read(&database.connection, name);
        let shape = database.did(&format!("look up the table {}", quote(name)), shape)?;
        *made = shape.is_none();
        match shape {
            Some(shape) => {
                let table = Named::new(&table.schema, &table.name);
                check_existing(database, source.as_str(), &table, columns, &shape, !shadowed)?;
            }
            None => {
                let all = with_generated(definition, columns);
                tell_left_out(definition, &all);
                let sql = table_sql(name, &all, row_id_key(definition, &all));
                let done = database.connection.execute_batch(&sql);
                database.did(&format!("create the table {}", quote(name)), done)?;
            }
        }
        if shadowed {
            make_shadow(database, &Named::new(&table.schema, &table.name), columns)?;
        }
    }
    Ok(tables)
}

/// Those that the load made.
pub(in super::super) fn made(tables: &[LoadTable]) -> Vec<Named> {
    let made = tables.iter().filter(|table| table.made);
    made.map(|table| Named::new(&table.definition.schema, &table.definition.name)).collect()
}

/// Makes keys and indexes, and keeps the definition. A table that was there before keeps its own
/// indexes, and gets the ones that changes need.
pub(super) fn finish_table(
    database: &Database,
    source: &SourceName,
    table: &LoadTable,
) -> Result<(), TargetError> {
    let indexed = make_indexes(&database.connection, &table.name, &table.definition, !table.made);
    database.did(&format!("index the table {}", quote(&table.name)), indexed)?;
    let kept = write_record(&database.connection, &table.name, source, &table.definition);
    database.did("write tailwater_tables", kept)
}

fn definition_of<'a>(
    database: &Database,
    snapshot: &'a Snapshot,
    table: &SnapshotTable,
) -> Result<&'a TableDefinition, TargetError> {
    let same = |definition: &&TableDefinition| {
        definition.schema == table.schema && definition.name == table.name
    };
    snapshot.definitions.tables.iter().find(same).ok_or_else(|| {
        let why = "the snapshot has its rows and not its definition".to_owned();
        table_error(database, table, why, "take a new snapshot")
    })
}

pub(in super::super) fn columns_of(
    database: &Database,
    table: &SnapshotTable,
    definition: &TableDefinition,
) -> Result<Vec<ColumnSql>, TargetError> {
    let mut names = HashSet::new();
    let mut columns = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let Some(found) = definition.columns.iter().find(|found| found.name == *column) else {
            let why = format!("the snapshot's definition lacks its column {}", quote(column));
            return Err(table_error(database, table, why, "take a new snapshot"));
        };
        if !names.insert(column.to_ascii_lowercase()) {
            let why = format!("SQLite cannot tell its column {} from another", quote(column));
            let advice = "leave the table out with --channels, or rename the column on the master";
            return Err(table_error(database, table, why, advice));
        }
        columns.push(ColumnSql::sent(column, Kind::of_definition(found)));
    }
    Ok(columns)
}

fn table_error(
    database: &Database,
    table: &SnapshotTable,
    why: String,
    advice: &str,
) -> TargetError {
    TargetError::Table {
        target: database.target.clone(),
        table: format!("{}.{}", table.schema, table.name),
        why,
        advice: advice.to_owned(),
    }
}
