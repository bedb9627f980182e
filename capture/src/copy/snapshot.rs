use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use wire::{
    ChannelHashes, ChannelMap, ChannelRule, CopyProgress, Lineage, Lsn, Snapshot, SnapshotObject,
    SnapshotTable, SourceName,
};

use super::{
    error::CopyError,
    packer::{Packed, TableLabel},
    pieces::cut,
    progress::{Display, Progress},
    readers::{Catalogue, Readers, Reading, joined},
    rows::{Rows, TableWork, Work},
};
use crate::{
    append::{Patience, Pipeline, PipelineLimits, Relay, RelayError, Remedy},
    begin::PublishedTable,
    channels::{NamedTable, first_map},
    explain,
};

/// What to copy, and as what.
pub struct CopyPlan<'a> {
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
    /// Is told now and then how far it is.
    pub told: &'a (dyn Fn(CopyProgress) + Sync),
}

/// Which table is in which channel, and how these stand.
#[derive(Debug, Clone)]
pub enum CopyChannels {
    /// The log begins: these rules make its map.
    Rules(Vec<ChannelRule>),
    /// As the log has them at the copy's position.
    InForce { hashes: ChannelHashes, map: ChannelMap },
}

/// How often the progress is noted, and perhaps shown.
const NOTE_EVERY: Duration = Duration::from_millis(200);

/// Copies all published tables as of the exported snapshot to the relay. `channels` is waited for once the
/// readers have the snapshot: from then on nobody need export it.
pub async fn gather<E: From<CopyError>>(
    plan: &CopyPlan<'_>,
    readers: Readers,
    relay: Arc<Relay>,
    channels: impl Future<Output = Result<CopyChannels, E>>,
) -> Result<Snapshot, E> {
    let count = readers.count();
    let (reading, catalogue) = readers.import(plan.snapshot, plan.publication).await?;
    let channels = channels.await?;
    Ok(copy_tables(plan, reading, count, catalogue, channels, relay).await?)
}

async fn copy_tables(
    plan: &CopyPlan<'_>,
    mut reading: Reading,
    readers: usize,
    catalogue: Catalogue,
    channels: CopyChannels,
    relay: Arc<Relay>,
) -> Result<Snapshot, CopyError> {
    let Catalogue { tables, definitions, sizes } = catalogue;
    let named = definitions.tables.iter().map(|table| NamedTable {
        oid: table.oid,
        schema: &table.schema,
        name: &table.name,
    });
    let (hashes, channel_map) = match channels {
        CopyChannels::Rules(rules) => (ChannelHashes::default(), first_map(rules, named)),
        CopyChannels::InForce { hashes, map } => (hashes, map),
    };
    let bytes = sizes.iter().map(|size| size.bytes).sum();
    let progress = Progress::new(plan.what, tables.len(), bytes);
    let pieces = cut(&sizes, readers);
    tracing::info!(
        "{}: {} MiB of {} tables in {} pieces, with {readers} connections",
        plan.what,
        bytes >> 20,
        tables.len(),
        pieces.len()
    );
    let with_label = |table: PublishedTable| {
        let channel = channel_map.channel(table.oid, &table.schema, &table.name);
        let (source, lineage, lsn, oid) = (plan.name.clone(), plan.lineage, plan.lsn, table.oid);
        TableWork::new(table, TableLabel { source, lineage, channel, lsn, oid })
    };
    let tables = tables.into_iter().map(with_label).collect();
    let work = Arc::new(Work::new(tables, pieces, readers, progress));
    let mut pipeline = Pipeline::new(relay, plan.session, plan.lsn, PipelineLimits::default());
    let rows = reading.begin(&work);
    let mut display = Display::new();
    let objects = {
        let mut brought = pin!(bring(rows, &mut reading.tasks, &mut pipeline));
        loop {
            tokio::select! {
                brought = &mut brought => break brought?,
                () = sleep(NOTE_EVERY) => {
                    (plan.told)(work.progress.now());
                    display.show(&work.progress);
                }
            }
        }
    };
    display.end(&work.progress);
    Ok(Snapshot {
        lineage: plan.lineage,
        lsn: plan.lsn,
        hashes,
        channel_map,
        definitions,
        tables: listed(work.tables(), objects),
        created_at: jiff::Timestamp::now().to_string(),
    })
}

/// A table's place, and the object's place in it.
type Place = (usize, u32);

/// Brings the objects to the relay as they come, until all are there.
async fn bring(
    mut rows: mpsc::Receiver<Rows>,
    tasks: &mut JoinSet<Result<(), CopyError>>,
    pipeline: &mut Pipeline,
) -> Result<BTreeMap<Place, SnapshotObject>, CopyError> {
    let mut objects = BTreeMap::new();
    loop {
        tokio::select! {
            come = rows.recv(), if pipeline.has_room() => {
                let Some(Rows { table, packed: Packed { part, object, bytes } }) = come else { break };
                objects.insert((table, part), object);
                pipeline.part(bytes);
            }
            taken = pipeline.next() => { taken?; }
            Some(done) = tasks.join_next() => joined(done)?,
        }
    }
    while let Some(done) = tasks.join_next().await {
        joined(done)?;
    }
    while !pipeline.is_empty() {
        pipeline.next().await?;
    }
    Ok(objects)
}

/// Tables and objects in their order, whichever came first.
fn listed(tables: &[TableWork], objects: BTreeMap<Place, SnapshotObject>) -> Vec<SnapshotTable> {
    let mut objects = objects.into_iter().peekable();
    let list = |(place, TableWork { table, label, .. }): (usize, &TableWork)| {
        let of_table = std::iter::from_fn(|| objects.next_if(|((of, _), _)| *of == place));
        let objects: Vec<SnapshotObject> = of_table.map(|(_, object)| object).collect();
        SnapshotTable {
            oid: table.oid,
            schema: table.schema.clone(),
            name: table.name.clone(),
            channel: label.channel.clone(),
            columns: table.columns.clone(),
            rows: objects.iter().map(|object| object.rows).sum(),
            raw_len: objects.iter().map(|object| object.raw_len).sum(),
            objects,
        }
    };
    tables.iter().enumerate().map(list).collect()
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::time::timeout;
    use wire::Hash;

    use super::*;
    use crate::append::RelayAddress;

    fn rows(part: u32) -> Rows {
        let object =
            SnapshotObject { name: Hash::of(b""), len: 1000, rows: 1, raw_len: 1000, url: None };
        let bytes = Bytes::from(vec![0; 1000]);
        Rows { table: 0, packed: Packed { part, object, bytes } }
    }

    fn pipeline() -> Pipeline {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = RelayAddress::parse("http://127.0.0.1:1").unwrap();
        let relay = Relay::new(address, SourceName::new("s").unwrap(), None).unwrap();
        let limits = PipelineLimits { held_bytes: 2_500, ..PipelineLimits::default() };
        Pipeline::new(Arc::new(relay), 1, Lsn::new(1), limits)
    }

    /// Objects that the relay does not take hold the copy up.
    #[tokio::test]
    async fn rows_are_not_read_faster_than_they_are_taken() {
        let mut pipeline = pipeline();
        let (rows_to, from) = mpsc::channel(1);
        let sent = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = sent.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            for part in 0..10 {
                let _ = rows_to.send(rows(part)).await;
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            Ok(())
        });
        let brought = bring(from, &mut tasks, &mut pipeline);
        assert!(timeout(Duration::from_millis(300), brought).await.is_err(), "all are there");
        let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(sent, 4, "three of 1000 bytes, 2,500 being the bound, and one waits");
    }

    /// The others are not waited for, nor is the relay.
    #[tokio::test]
    async fn the_first_reader_that_fails_ends_the_copy() {
        let mut pipeline = pipeline();
        let (rows_to, from) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        for reader in 0..3 {
            let rows_to = rows_to.clone();
            tasks.spawn(async move {
                let _ = rows_to.send(rows(reader)).await;
                if reader == 1 {
                    return Err(CopyError::Torn { table: "t".into() });
                }
                std::future::pending().await
            });
        }
        drop(rows_to);
        let brought = timeout(Duration::from_secs(5), bring(from, &mut tasks, &mut pipeline));
        assert!(matches!(brought.await.unwrap(), Err(CopyError::Torn { .. })));
    }
}
