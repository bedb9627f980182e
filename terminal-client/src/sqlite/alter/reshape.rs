//! Tables that a reload finds in another shape than its snapshot's.

use wire::{Definitions, Lsn, SourceName, TableDefinition};

use super::{
    super::{
        database::Database,
        schema::{Shape, read_record, table_name},
    },
    altering::Altering,
    columns::Rows,
};
use crate::target::TargetError;

/// Brings an emptied table to the shape of `is`, as far as it was the source's: what was done to it on the
/// master meanwhile follows from what was kept of its definition.
pub(in super::super) fn reshape(
    database: &Database,
    source: &SourceName,
    lsn: Lsn,
    is: &TableDefinition,
) -> Result<(), TargetError> {
    let altering = Altering { database, source, lsn, table: is };
    let (connection, name) = (&database.connection, table_name(&is.schema, &is.name));
    let shape = altering.did("look up the table", Shape::read(connection, &name))?;
    let Some(shape) = shape else { return Ok(()) };
    let record = altering.did("read tailwater_tables", read_record(connection, &name))?;
    let (was, is) = match record.map(|record| record.definition) {
        Some(was) if was.oid == is.oid && numbered(&was) && numbered(is) => (was, is.clone()),
        Some(was) => by_names(was, is.clone()),
        None => by_names(only(is, &shape), is.clone()),
    };
    let none = Definitions::default();
    altering.shape_up((&was, &none), (&is, &none), Rows::None)
}

/// The same columns of a table that the stream made: nothing of its definition was kept.
fn only(is: &TableDefinition, shape: &Shape) -> TableDefinition {
    let mut was = is.clone();
    was.columns.retain(|column| shape.column(&column.name).is_some());
    was
}

/// Where numbers say nothing, columns of the same name are the same.
fn by_names(
    mut was: TableDefinition,
    mut is: TableDefinition,
) -> (TableDefinition, TableDefinition) {
    let number = |at: usize| i16::try_from(at + 1).unwrap_or(i16::MAX);
    for (at, column) in is.columns.iter_mut().enumerate() {
        column.number = number(at);
    }
    for (at, column) in was.columns.iter_mut().enumerate() {
        let same = is.columns.iter().find(|now| now.name == column.name);
        column.number = same.map_or(-number(at), |same| same.number);
    }
    (was, is)
}

/// Whether each column has a number of its own: those of long ago have none.
fn numbered(table: &TableDefinition) -> bool {
    let mut numbers: Vec<i16> = table.columns.iter().map(|column| column.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.len() == table.columns.len() && numbers.first().is_none_or(|first| *first > 0)
}
