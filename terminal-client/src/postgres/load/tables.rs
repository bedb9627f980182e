use wire::Snapshot;

use super::{
    super::{
        alter::{widen, widen_types},
        connect::error_of,
        create::{Rows, bind_sequences, ensure_defined, ensure_sequences, ensure_types, run},
        position_row::PositionRow,
        quote::qualified,
    },
    Load, Place,
    exchange::{definition_of, rehearse},
    record,
    shadow::{any_is_empty, make_shadow, shadow},
};
use crate::target::{LoadPlan, LoadPoint, LoadRecord, Named, Stored, TargetError, snapshot_id};

const GONE: &str = "
SELECT count(*) FROM pg_catalog.unnest($1::text[]) n WHERE pg_catalog.to_regclass(n) IS NULL";

/// Makes and checks the tables. The state `loading` is durable before.
pub(in super::super) async fn begin(
    place: Place<'_>,
    row: &mut PositionRow,
    stored: &Stored,
    snapshot: &Snapshot,
) -> Result<Load, TargetError> {
    let Place { target, client, source } = place;
    row.prepare(target, client).await?;
    record::prepare(place).await?;
    row.write(target, client, source, stored).await?;
    run(target, client, "begin a transaction", "BEGIN").await?;
    let (types, made) = make_missing(place, snapshot, Rows::None).await?;
    begun(place, snapshot, LoadPlan::of(snapshot, types, made)).await
}

/// Makes and checks the tables, and makes their shadows. Nothing that others see is changed but for
/// tables that were missing.
pub(in super::super) async fn begin_reload(
    place: Place<'_>,
    snapshot: &Snapshot,
    foreign_keys_act: bool,
) -> Result<Load, TargetError> {
    record::prepare(place).await?;
    run(place.target, place.client, "begin a transaction", "BEGIN").await?;
    let (types, made) = make_missing(place, snapshot, Rows::Any).await?;
    for table in &snapshot.tables {
        let definition = definition_of(snapshot, table);
        make_shadow(place, table, definition).await?;
    }
    rehearse(place, snapshot, foreign_keys_act).await?;
    begun(place, snapshot, LoadPlan::of_reload(snapshot, types, made)).await
}

/// The types and tables that it made.
async fn make_missing(
    place: Place<'_>,
    snapshot: &Snapshot,
    rows: Rows,
) -> Result<(Vec<Named>, Vec<Named>), TargetError> {
    let Place { target, client, .. } = place;
    if rows == Rows::Any {
        widen_types(place, &snapshot.definitions.types).await?;
    }
    let types = ensure_types(target, client, &snapshot.definitions).await?;
    ensure_sequences(target, client, &snapshot.definitions.sequences).await?;
    let mut made = Vec::new();
    for table in &snapshot.definitions.tables {
        if rows == Rows::Any {
            widen(place, snapshot.lsn, table).await?;
        }
        if ensure_defined(target, client, table, &snapshot.definitions, rows).await? {
            made.push(Named::new(&table.schema, &table.name));
        }
    }
    // So that they go with their tables, should these have to go again.
    bind_sequences(target, client, &snapshot.definitions.sequences).await?;
    Ok((types, made))
}

async fn begun(place: Place<'_>, snapshot: &Snapshot, plan: LoadPlan) -> Result<Load, TargetError> {
    let mut record = LoadRecord::begun(snapshot, plan);
    record.point.run = record::run_name();
    record::write(place, &record).await?;
    run(place.target, place.client, "commit the tables", "COMMIT").await?;
    Ok(Load::of(record.plan, record.point))
}

impl Load {
    /// Goes on with an unfinished load, and from where; none where one of its tables is gone, or the rows
    /// of a shadow.
    pub(in super::super) async fn resume(
        place: Place<'_>,
        snapshot: &Snapshot,
    ) -> Result<Option<(Self, LoadPoint)>, TargetError> {
        let Place { target, client, .. } = place;
        let Some(unfinished) = record::take_over(place).await? else { return Ok(None) };
        if unfinished.snapshot != snapshot_id(snapshot) {
            return Ok(None);
        }
        let plan = &unfinished.plan;
        let shadows = plan.shadowed().iter().map(|kept| shadow(&kept.table));
        let tables = plan.shadowed().iter().chain(&plan.kept).map(|kept| kept.table.clone());
        let all = plan.made.iter().cloned().chain(tables).chain(shadows);
        let names: Vec<String> = all.map(|of| qualified(&of.schema, &of.name)).collect();
        let gone = client.query_one(GONE, &[&names]).await.and_then(|row| row.try_get(0));
        let gone: i64 = gone.map_err(|error| error_of(target, "look up the tables", &error))?;
        if gone > 0 || any_is_empty(target, client, &unfinished).await? {
            return Ok(None);
        }
        let LoadRecord { plan, point, .. } = unfinished;
        Ok(Some((Self::of(plan, point.clone()), point)))
    }
}
