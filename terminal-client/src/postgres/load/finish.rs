use wire::{Snapshot, TableDefinition};

use super::{
    super::{
        connect::error_of,
        create::{finish_tables, run, set_sequences},
        position_row::PositionRow,
        quote::qualified,
    },
    Load, Place, record,
};
use crate::target::{Named, Stored, TargetError};

const IS_WHOLE: &str = "SELECT relkind = 'p' FROM pg_catalog.pg_class
    WHERE oid = pg_catalog.to_regclass($1)";

/// Proves the rows, makes constraints and indexes, and commits that with the position.
pub(in super::super) async fn finish(
    mut load: Load,
    place: Place<'_>,
    row: &mut PositionRow,
    (stored, snapshot): (&Stored, &Snapshot),
    foreign_keys: bool,
) -> Result<(), TargetError> {
    let Place { target, client, source } = place;
    load.open(target, client).await?;
    if let Some(wrong) = wrong_count(place, snapshot).await? {
        run(target, client, "roll back", "ROLLBACK").await?;
        record::forsake(place).await?;
        return Err(wrong);
    }
    let definitions = &snapshot.definitions;
    let made = definitions.tables.iter();
    let made: Vec<&TableDefinition> = made
        .filter(|table| load.plan.made.contains(&Named::new(&table.schema, &table.name)))
        .collect();
    finish_tables(target, client, &made, definitions, foreign_keys).await?;
    set_sequences(target, client, &definitions.sequences).await?;
    row.write(target, client, source, stored).await?;
    record::remove(place).await?;
    run(target, client, "commit the load", "COMMIT").await
}

/// Parts were committed on the way, in the sight of others, perhaps over days: what the tables hold is
/// what counts, not what was sent.
async fn wrong_count(
    place: Place<'_>,
    snapshot: &Snapshot,
) -> Result<Option<TargetError>, TargetError> {
    for table in &snapshot.tables {
        let of = Named::new(&table.schema, &table.name);
        let rows = count(place, &of).await?;
        if rows != table.rows {
            return Ok(Some(TargetError::Table {
                target: place.target.to_owned(),
                table: format!("{}.{}", table.schema, table.name),
                why: format!(
                    "it has {rows} rows, and the snapshot has {}: something else wrote to it during the first load",
                    table.rows
                ),
                advice: "end that, then pull again: what was loaded will be removed, and the load begins anew".into(),
            }));
        }
    }
    Ok(None)
}

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
pub(super) async fn only(place: Place<'_>, table: &Named) -> Result<String, TargetError> {
    let name = qualified(&table.schema, &table.name);
    let whole = place.client.query_opt(IS_WHOLE, &[&name]).await;
    let whole = whole.and_then(|row| row.map_or(Ok(false), |row| row.try_get(0)));
    let whole =
        whole.map_err(|error| error_of(place.target, &format!("look up {name}"), &error))?;
    Ok(if whole { name } else { format!("ONLY {name}") })
}
