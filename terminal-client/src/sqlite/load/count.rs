use super::super::{
    database::Database,
    schema::{Shape, quote},
};
use crate::target::TargetError;

/// The table's rows; none where there is no such table.
pub(super) fn count(database: &Database, name: &str) -> Result<Option<u64>, TargetError> {
    let doing = format!("count the rows of {}", quote(name));
    let there = database.did(&doing, Shape::read(&database.connection, name))?.is_some();
    if !there {
        return Ok(None);
    }
    let sql = format!("SELECT count(*) FROM {}", quote(name));
    let rows: i64 =
        database.did(&doing, database.connection.query_row(&sql, [], |row| row.get(0)))?;
    Ok(Some(u64::try_from(rows).unwrap_or_default()))
}
