use tokio_postgres::Client;
use wire::Snapshot;

use super::{
    super::{
        connect::error_of,
        create::{bind_sequences, ensure_defined, ensure_sequences, ensure_types, run},
        position_row::PositionRow,
        quote::qualified,
    },
    Load, Place, record,
};
use crate::target::{LoadPlan, LoadRecord, Named, Stored, TargetError};

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
    let types = ensure_types(target, client, &snapshot.definitions).await?;
    ensure_sequences(target, client, &snapshot.definitions.sequences).await?;
    let mut made = Vec::new();
    for table in &snapshot.definitions.tables {
        if ensure_defined(target, client, table, &snapshot.definitions).await? {
            made.push(Named::new(&table.schema, &table.name));
        }
    }
    // So that they go with their tables, should these have to go again.
    bind_sequences(target, client, &snapshot.definitions.sequences).await?;
    let plan = LoadPlan::of(snapshot, types, made);
    record::write(place, &LoadRecord::begun(snapshot, plan.clone())).await?;
    run(target, client, "commit the tables", "COMMIT").await?;
    Ok(Load { plan, ..Load::default() })
}

impl Load {
    /// Goes on with an unfinished load; none where one of its tables is gone.
    pub(in super::super) async fn resume(
        target: &str,
        client: &Client,
        unfinished: &LoadRecord,
    ) -> Result<Option<Self>, TargetError> {
        let plan = unfinished.plan.clone();
        let kept = plan.kept.iter().map(|kept| &kept.table);
        let names: Vec<String> =
            plan.made.iter().chain(kept).map(|of| qualified(&of.schema, &of.name)).collect();
        let gone = client.query_one(GONE, &[&names]).await.and_then(|row| row.try_get(0));
        let gone: i64 = gone.map_err(|error| error_of(target, "look up the tables", &error))?;
        Ok((gone == 0).then(|| Self { plan, ..Self::default() }))
    }
}
