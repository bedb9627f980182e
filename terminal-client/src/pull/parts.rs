//! The parts of a load, written by all connections that the target gives (decision 0051).

use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::sync::Mutex;

use super::{error::PullError, loading::Loading};
use crate::{
    fetch::{SnapshotObjects, SnapshotPart, Spool},
    target::{LoadPoint, LoadedObject, RowWriter, Target},
};

/// Rows are committed with at least so many bytes at a time (in COPY text format): the commits cost
/// nothing beside them, and no more than this and an object is loaded twice after a kill by each writer.
const PART_BYTES: u64 = 8 << 20;

/// Objects in a part at most, so that the record of what is in stays small.
const PART_OBJECTS: usize = 100;

/// Loads what is not in.
pub(super) async fn load_parts<T: Target>(
    target: &mut T,
    loading: Loading<'_>,
    spool: &Arc<Spool>,
    mut point: LoadPoint,
) -> Result<(), PullError> {
    let Loading { settings, progress, snapshot } = loading;
    add(&loading, &mut point, &[])?;
    let bytes: u64 = snapshot.tables.iter().map(|table| table.raw_len).sum();
    let parts = usize::try_from(bytes / PART_BYTES).unwrap_or(usize::MAX);
    let most = settings.bounds.load_connections.clamp(1, parts.max(1));
    let fewer = target.widen(most).await?;
    let mut writers = target.writers();
    if let Some(why) = fewer {
        progress
            .say(&format!("loading with {} connections instead of {most}: {why}", writers.len()));
    }
    let (relays, channels) = (&settings.relays, &settings.channels);
    let is_in = |table, object| point.has(table, object);
    let objects = SnapshotObjects::start(relays, spool, snapshot, channels, is_in);
    let parts = Parts { loading, objects: Mutex::new(objects), point: Mutex::new(point) };
    // The first that fails ends all: what the others have not committed is undone as they are dropped.
    try_join_all(writers.iter_mut().map(|writer| parts.load(&mut **writer))).await?;
    let point = parts.point.into_inner();
    match snapshot.tables.get(point.tables) {
        Some(table) => Err(loading.damaged(table, "an object is missing".into())),
        None => Ok(()),
    }
}

/// What the writers share.
struct Parts<'a> {
    loading: Loading<'a>,
    objects: Mutex<SnapshotObjects>,
    /// What is committed.
    point: Mutex<LoadPoint>,
}

impl Parts<'_> {
    /// Takes objects and writes them, until there is none left.
    async fn load(&self, writer: &mut impl RowWriter) -> Result<(), PullError> {
        let (mut loaded, mut bytes) = (Vec::new(), 0);
        while let Some(part) = self.next().await? {
            let SnapshotPart { table: at, object, .. } = part;
            let Some(table) = self.loading.snapshot.tables.get(at) else { continue };
            writer.begin_table(table).await?;
            self.loading.rows(writer, table, &part).await?;
            let rows = writer.end_table().await?;
            loaded.push(LoadedObject { table: at, object, rows });
            bytes += table.objects.get(object).map_or(0, |object| object.raw_len);
            if bytes >= PART_BYTES || loaded.len() >= PART_OBJECTS {
                self.commit(writer, &loaded).await?;
                loaded.clear();
                bytes = 0;
            }
        }
        if loaded.is_empty() { Ok(()) } else { self.commit(writer, &loaded).await }
    }

    async fn next(&self) -> Result<Option<SnapshotPart>, PullError> {
        Ok(self.objects.lock().await.next().await?)
    }

    async fn commit(
        &self,
        writer: &mut impl RowWriter,
        loaded: &[LoadedObject],
    ) -> Result<(), PullError> {
        let mut committed = self.point.lock().await;
        let mut point = committed.clone();
        add(&self.loading, &mut point, loaded)?;
        writer.end_part(&self.loading.settings.source, &point).await?;
        *committed = point;
        Ok(())
    }
}

fn add(
    loading: &Loading<'_>,
    point: &mut LoadPoint,
    loaded: &[LoadedObject],
) -> Result<(), PullError> {
    let tables = &loading.snapshot.tables;
    let Err(wrong) = point.add(loaded, tables) else { return Ok(()) };
    match tables.get(wrong.table) {
        Some(table) => Err(loading.miscounted(table, wrong.rows)),
        None => Ok(()),
    }
}
