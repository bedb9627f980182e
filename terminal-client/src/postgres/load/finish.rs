use wire::{Snapshot, TableDefinition};

use super::{
    super::{
        create::{analyze, make_foreign_keys, make_keys, run, set_sequences},
        guard, known,
        position_row::PositionRow,
        quarantine,
        seen::forget_all,
    },
    Load, Place, Writer,
    exchange::exchange,
    record,
    shadow::drop_shadows,
};
use crate::target::{Named, Stored, TargetError};

/// Makes keys and indexes of tables that were made, proves the rows, exchanges those of a reload, and
/// commits that with the position.
pub(in super::super) async fn finish(
    load: Load,
    place: Place<'_>,
    helpers: Vec<Writer>,
    row: &mut PositionRow,
    (stored, snapshot): (&Stored, &Snapshot),
    foreign_keys: bool,
) -> Result<(), TargetError> {
    let Place { target, client, source } = place;
    let definitions = &snapshot.definitions;
    let made = definitions.tables.iter();
    let made: Vec<&TableDefinition> = made
        .filter(|table| load.plan.made.contains(&Named::new(&table.schema, &table.name)))
        .collect();
    let reloads = load.plan.reload.is_some();
    // Tables that a reload made are empty until the exchange.
    let filled = if reloads { &[] } else { made.as_slice() };
    let places: Vec<Place<'_>> =
        std::iter::once(place).chain(helpers.iter().map(|helper| helper.place(source))).collect();
    if let Err(error) = load.make_keys(&places, filled, snapshot).await {
        drop(helpers);
        return Err(why_no_keys(error, &load, place, snapshot).await);
    }
    if let Some(wrong) = load.prove(&places, snapshot, filled).await? {
        record::forsake(place).await?;
        return Err(wrong);
    }
    for helper in helpers {
        helper.session.close().await;
    }
    run(target, client, "begin a transaction", "BEGIN").await?;
    if reloads {
        exchange(place, snapshot, !foreign_keys).await?;
        drop_shadows(place, &load.plan).await?;
        make_keys(target, client, &made, definitions).await?;
    }
    if foreign_keys {
        make_foreign_keys(target, client, &made, definitions).await?;
    }
    if reloads {
        for table in &made {
            analyze(target, client, table).await?;
        }
    }
    set_sequences(target, client, &definitions.sequences).await?;
    if row.is_of_another(stored) {
        forget_all(place).await?;
    }
    known::loaded(place, snapshot).await?;
    quarantine::clear(place).await?;
    guard::keep(place).await?;
    row.write(target, client, source, stored).await?;
    record::remove(place).await?;
    run(target, client, "commit the load", "COMMIT").await
}

/// Where rows are in a table that are not the load's, that is why its keys cannot be made.
async fn why_no_keys(
    error: TargetError,
    load: &Load,
    place: Place<'_>,
    snapshot: &Snapshot,
) -> TargetError {
    let Place { target, client, .. } = place;
    if !matches!(error, TargetError::Statement { .. })
        || run(target, client, "roll back", "ROLLBACK").await.is_err()
    {
        return error;
    }
    match load.prove(&[place], snapshot, &[]).await {
        Ok(Some(wrong)) => record::forsake(place).await.err().unwrap_or(wrong),
        _ => error,
    }
}
