use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::{IsolationLevel, Transaction};
use wire::{
    ChannelHashes, ChannelMap, ChannelRule, Lineage, Lsn, Snapshot, SnapshotTable, SourceName,
};

use super::{
    definitions, error::CopyError, packer::TableLabel, progress::Progress, rows::copy_table,
};
use crate::{
    append::{Patience, Pipeline, PipelineLimits, Relay, RelayError, Remedy},
    begin::{PublishedTable, published},
    channels::{NamedTable, first_map},
    explain,
    source::{Source, SqlSession, answer, answer_within},
};

/// What to copy, and as what.
#[derive(Debug, Clone)]
pub struct CopyPlan<'a> {
    pub source: &'a Source,
    pub name: &'a SourceName,
    pub publication: &'a str,
    /// What progress calls it.
    pub what: &'static str,
    pub lineage: Lineage,
    pub session: u64,
    /// The slot's consistent point.
    pub lsn: Lsn,
    /// The snapshot that the slot's making exported.
    pub snapshot: &'a str,
}

/// Which table is in which channel, and how these stand.
#[derive(Debug, Clone)]
pub enum CopyChannels {
    /// The log begins: these rules make its map.
    Rules(Vec<ChannelRule>),
    /// As the log has them at the copy's position.
    InForce { hashes: ChannelHashes, map: ChannelMap },
}

/// How long reading the tables' definitions may take: there may be many.
const DEFINED_WITHIN: Duration = Duration::from_secs(600);

/// Copies all published tables as of the exported snapshot to the relay. `channels` is waited for once the
/// transaction has the snapshot: from then on nobody need export it.
pub async fn gather<E: From<CopyError>>(
    plan: &CopyPlan<'_>,
    relay: Arc<Relay>,
    channels: impl Future<Output = Result<CopyChannels, E>>,
) -> Result<Snapshot, E> {
    let mut sql = plan.source.connect_sql().await.map_err(CopyError::from)?;
    let transaction = import(&mut sql, plan.snapshot).await?;
    let channels = channels.await?;
    let snapshot = copy_tables(plan, &transaction, channels, relay).await?;
    answer(transaction.rollback()).await.map_err(CopyError::from)?;
    Ok(snapshot)
}

async fn import<'a>(sql: &'a mut SqlSession, snapshot: &str) -> Result<Transaction<'a>, CopyError> {
    let builder = sql.client_mut().build_transaction();
    let builder = builder.isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let transaction = answer(builder.start()).await?;
    let snapshot = postgres_protocol::escape::escape_literal(snapshot);
    // Row security that hides rows must fail, not copy less. Texts in no known encoding pass as they are.
    let begin = format!(
        "SET TRANSACTION SNAPSHOT {snapshot}; SET LOCAL row_security = off;
         SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', true)
         WHERE pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'"
    );
    answer(transaction.batch_execute(&begin)).await?;
    Ok(transaction)
}

async fn copy_tables(
    plan: &CopyPlan<'_>,
    transaction: &Transaction<'_>,
    channels: CopyChannels,
    relay: Arc<Relay>,
) -> Result<Snapshot, CopyError> {
    let tables = published(transaction, plan.publication).await?;
    let definitions =
        answer_within(DEFINED_WITHIN, definitions::read(transaction, &tables)).await?;
    let named = definitions.tables.iter().map(|table| NamedTable {
        oid: table.oid,
        schema: &table.schema,
        name: &table.name,
    });
    let (hashes, channel_map) = match channels {
        CopyChannels::Rules(rules) => (ChannelHashes::default(), first_map(rules, named)),
        CopyChannels::InForce { hashes, map } => (hashes, map),
    };
    let copied = copy_rows(plan, transaction, &tables, &channel_map, relay).await?;
    Ok(Snapshot {
        lineage: plan.lineage,
        lsn: plan.lsn,
        hashes,
        channel_map,
        definitions,
        tables: copied,
        created_at: jiff::Timestamp::now().to_string(),
    })
}

async fn copy_rows(
    plan: &CopyPlan<'_>,
    transaction: &Transaction<'_>,
    tables: &[PublishedTable],
    map: &ChannelMap,
    relay: Arc<Relay>,
) -> Result<Vec<SnapshotTable>, CopyError> {
    let mut pipeline = Pipeline::new(relay, plan.session, plan.lsn, PipelineLimits::default());
    let rows_guess = tables.iter().map(|table| table.rows_guess).sum();
    let mut progress = Progress::new(plan.what, tables.len(), rows_guess);
    let mut copied = Vec::with_capacity(tables.len());
    for table in tables {
        progress.table(&format!("{}.{}", table.schema, table.name));
        progress.show();
        let label = TableLabel {
            source: plan.name.clone(),
            lineage: plan.lineage,
            channel: map.channel(table.oid, &table.schema, &table.name),
            lsn: plan.lsn,
            oid: table.oid,
        };
        copied.push(copy_table(transaction, table, label, &mut pipeline, &mut progress).await?);
    }
    while !pipeline.is_empty() {
        pipeline.next().await?;
    }
    progress.end();
    Ok(copied)
}

/// Posts the snapshot's list, all objects being there; with the first the log begins.
pub async fn post(relay: &Relay, session: u64, snapshot: &Snapshot) -> Result<(), RelayError> {
    let mut patience = Patience::default();
    loop {
        match relay.snapshot(session, snapshot).await {
            Err(error) if error.remedy() == Remedy::Again => {
                tracing::warn!("{}; trying again", explain::chain(&error));
                tokio::time::sleep(patience.pause()).await;
            }
            done => return done,
        }
    }
}
