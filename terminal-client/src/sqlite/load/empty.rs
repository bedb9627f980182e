use super::super::{
    database::Database,
    schema::{Shape, quote, table_name},
};
use crate::target::{Named, TargetError};

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
