use wire::SourceName;

use super::super::{
    database::Database,
    schema::{Shape, quote, read_record, table_name},
    seen,
};
use crate::target::{Named, TargetError};

/// Whether there is such a table, with rows, of which nothing is known to have come from the source.
pub(in super::super) fn has_own_rows(
    database: &Database,
    source: &SourceName,
    table: &Named,
) -> Result<bool, TargetError> {
    let (connection, name) = (&database.connection, table_name(&table.schema, &table.name));
    let shape = database.did("look up the tables", Shape::read(connection, &name))?;
    let record = database.did("read tailwater_tables", read_record(connection, &name))?;
    if shape.is_none_or(|shape| shape.kind != "table")
        || record.is_some()
        || seen::is_noted(database, source, &name)?
    {
        return Ok(false);
    }
    let any = format!("SELECT EXISTS (SELECT 1 FROM {})", quote(&name));
    database.did("look for rows", connection.query_row(&any, [], |row| row.get(0)))
}

/// Removes a table's rows in the open transaction. One that is not here is passed over.
pub(in super::super) fn empty(database: &Database, table: &Named) -> Result<(), TargetError> {
    let name = table_name(&table.schema, &table.name);
    let doing = format!("remove the rows of {}, which have other values now", quote(&name));
    let shape = database.did(&doing, Shape::read(&database.connection, &name))?;
    if shape.is_none_or(|shape| shape.kind != "table") {
        return Ok(());
    }
    let sql = format!("DELETE FROM {}", quote(&name));
    database.did(&doing, database.connection.execute(&sql, [])).map(drop)
}
