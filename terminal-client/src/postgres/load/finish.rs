use wire::{Snapshot, TableDefinition};

use super::{
    super::{
        create::{finish_tables, run, set_sequences},
        known,
        position_row::PositionRow,
        seen::forget_all,
    },
    Load, Place,
    count::count,
    exchange::exchange,
    record,
    shadow::drop_shadows,
};
use crate::target::{Named, Stored, TargetError, wrong_count};

/// Proves the rows, exchanges those of a reload, makes constraints and indexes of tables that were made,
/// and commits that with the position.
pub(in super::super) async fn finish(
    mut load: Load,
    place: Place<'_>,
    row: &mut PositionRow,
    (stored, snapshot): (&Stored, &Snapshot),
    foreign_keys: bool,
) -> Result<(), TargetError> {
    let Place { target, client, source } = place;
    load.open(target, client).await?;
    if let Some(wrong) = mixed(&load, place, snapshot).await? {
        run(target, client, "roll back", "ROLLBACK").await?;
        record::forsake(place).await?;
        return Err(wrong);
    }
    if load.plan.reload.is_some() {
        exchange(place, snapshot, !foreign_keys).await?;
        drop_shadows(place, &load.plan).await?;
    }
    let definitions = &snapshot.definitions;
    let made = definitions.tables.iter();
    let made: Vec<&TableDefinition> = made
        .filter(|table| load.plan.made.contains(&Named::new(&table.schema, &table.name)))
        .collect();
    finish_tables(target, client, &made, definitions, foreign_keys).await?;
    set_sequences(target, client, &definitions.sequences).await?;
    if row.is_of_another(stored) {
        forget_all(place).await?;
    }
    known::loaded(place, snapshot).await?;
    row.write(target, client, source, stored).await?;
    record::remove(place).await?;
    run(target, client, "commit the load", "COMMIT").await
}

/// The first table that does not hold the load's rows.
async fn mixed(
    load: &Load,
    place: Place<'_>,
    snapshot: &Snapshot,
) -> Result<Option<TargetError>, TargetError> {
    for table in &snapshot.tables {
        let rows = count(place, &load.destination(table)).await?;
        if let Some(wrong) = wrong_count(place.target, &load.plan, table, rows) {
            return Ok(Some(wrong));
        }
    }
    Ok(None)
}
