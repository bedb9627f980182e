use super::{
    super::{connect::error_of, quote::qualified},
    Place,
};
use crate::target::{Named, TargetError};

const IS_WHOLE: &str = "SELECT relkind = 'p' FROM pg_catalog.pg_class
    WHERE oid = pg_catalog.to_regclass($1)";

/// The rows of the table itself, not of those that inherit from it; of all partitions where it has any.
pub(super) async fn count(place: Place<'_>, table: &Named) -> Result<u64, TargetError> {
    let name = only(place, table).await?;
    let rows = place.client.query_one(&format!("SELECT count(*) FROM {name}"), &[]).await;
    let rows: i64 = rows
        .and_then(|row| row.try_get(0))
        .map_err(|error| error_of(place.target, &format!("count the rows of {name}"), &error))?;
    Ok(u64::try_from(rows).unwrap_or_default())
}

/// The table's name as statements take it that concern its own rows.
pub(in super::super) async fn only(place: Place<'_>, table: &Named) -> Result<String, TargetError> {
    let name = qualified(&table.schema, &table.name);
    let whole = place.client.query_opt(IS_WHOLE, &[&name]).await;
    let whole = whole.and_then(|row| row.map_or(Ok(false), |row| row.try_get(0)));
    let whole =
        whole.map_err(|error| error_of(place.target, &format!("look up {name}"), &error))?;
    Ok(if whole { name } else { format!("ONLY {name}") })
}
