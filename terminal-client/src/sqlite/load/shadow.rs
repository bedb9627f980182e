use super::super::{
    database::Database,
    schema::{ColumnSql, quote, shadow_table_name, table_sql},
};
use crate::target::{Named, TargetError};

/// Makes a table's shadow, with the columns that the source sends; one that is left from before goes.
pub(super) fn make_shadow(
    database: &Database,
    of: &Named,
    columns: &[ColumnSql],
) -> Result<(), TargetError> {
    drop_shadow(database, of)?;
    let shadow = shadow_table_name(&of.schema, &of.name);
    let made = database.connection.execute_batch(&table_sql(&shadow, columns, None));
    database.did(&format!("make the shadow {}", quote(&shadow)), made)
}

/// Removes a table's shadow, if there is one.
pub(super) fn drop_shadow(database: &Database, of: &Named) -> Result<(), TargetError> {
    let shadow = quote(&shadow_table_name(&of.schema, &of.name));
    let dropped = database.connection.execute_batch(&format!("DROP TABLE IF EXISTS {shadow}"));
    database.did(&format!("remove the shadow {shadow}"), dropped)
}
