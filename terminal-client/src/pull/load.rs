use std::sync::Arc;

use tokio::sync::mpsc;
use wire::{ObjectHeader, ObjectKind, Snapshot, SnapshotTable, SourceName};

use super::{
    begin::{Beginning, choose, snapshots},
    error::PullError,
    order::Order,
    settings::Settings,
};
use crate::{
    fetch::{SnapshotObjects, Spool},
    position::Position,
    progress::Progress,
    range::{Malformed, ObjectFile},
    target::{LoadPoint, Stored, StoredState, Target},
};

/// Pieces of rows read ahead of the target.
const PIECES_AHEAD: usize = 4;

/// Rows are committed with at least so many bytes at a time (in COPY text format): the commits cost
/// nothing beside them, and no more than this and an object is loaded twice after a kill.
const PART_BYTES: u64 = 8 << 20;

/// Loads a snapshot part by part; goes on with a load that was interrupted, if the relay still has
/// its snapshot. The state `ready`, or for a reload the new position, comes with the last part.
pub(super) async fn load<T: Target>(
    target: &mut T,
    settings: &Settings,
    spool: &Arc<Spool>,
    progress: &Progress,
    order: &Order,
) -> Result<Stored, PullError> {
    let again = !matches!(order, Order::First);
    let unfinished = target.unfinished_load(&settings.source).await?;
    // Beside a position, a first load's record can only be a left-over; its tables must not go.
    let unfinished = unfinished.filter(|record| !again || record.plan.reload.is_some());
    let offer = snapshots(settings, order.ended()).await?;
    let snapshot = choose(offer.snapshots, unfinished.as_ref());
    order.permits(settings, &snapshot, &offer.channels, &offer.succeeds)?;
    let channels = offer.channels;
    let mut stored = Stored {
        position: Position::proved(snapshot.lineage, snapshot.lsn, snapshot.hashes.clone()),
        state: StoredState::Loading,
        channels: channels.names(),
        channel_map: snapshot.channel_map.clone(),
    };
    let noted = (!again).then_some(&stored);
    let beginning = Beginning { settings, progress, stored: noted, snapshot: &snapshot };
    let point = beginning.begin(target, unfinished).await?;
    let mut objects = SnapshotObjects::start(
        &settings.relays,
        spool,
        &snapshot,
        &settings.channels,
        (point.tables, point.objects),
    );
    let mut loading = Loading { target: &mut *target, settings, progress, snapshot: &snapshot };
    loading.tables(&mut objects, point).await?;
    stored.state = StoredState::Ready;
    target.finish_load(&settings.source, &stored, &snapshot).await?;
    Ok(stored)
}

pub(super) struct Loading<'a, T> {
    pub(super) target: &'a mut T,
    pub(super) settings: &'a Settings,
    pub(super) progress: &'a Progress,
    pub(super) snapshot: &'a Snapshot,
}

impl<T: Target> Loading<'_, T> {
    async fn tables(
        &mut self,
        objects: &mut SnapshotObjects,
        mut point: LoadPoint,
    ) -> Result<(), PullError> {
        let source = &self.settings.source;
        let mut committed = point.bytes;
        let snapshot = self.snapshot;
        while let Some(table) = snapshot.tables.get(point.tables) {
            let mut begun = false;
            while let Some(object) = table.objects.get(point.objects) {
                let file = self.object(objects, table, point.objects).await?;
                if !begun {
                    self.target.begin_table(table).await?;
                    begun = true;
                }
                self.rows(table, file).await?;
                point.objects += 1;
                point.bytes += object.raw_len;
                if point.bytes - committed >= PART_BYTES {
                    point.rows += self.target.end_table().await?;
                    begun = false;
                    self.target.end_part(source, &point).await?;
                    committed = point.bytes;
                }
            }
            if begun {
                point.rows += self.target.end_table().await?;
            }
            self.count(table, point.rows)?;
            point = LoadPoint { tables: point.tables + 1, objects: 0, rows: 0, ..point };
        }
        Ok(self.target.end_part(source, &point).await?)
    }

    /// All rows of all tables, in the open transaction, into the tables themselves.
    pub(super) async fn within(&mut self, objects: &mut SnapshotObjects) -> Result<(), PullError> {
        let snapshot = self.snapshot;
        for table in &snapshot.tables {
            self.target.begin_rows(snapshot, table).await?;
            for place in 0..table.objects.len() {
                let file = self.object(objects, table, place).await?;
                self.rows(table, file).await?;
            }
            let rows = self.target.end_table().await?;
            self.count(table, rows)?;
        }
        Ok(())
    }

    async fn object(
        &self,
        objects: &mut SnapshotObjects,
        table: &SnapshotTable,
        place: usize,
    ) -> Result<ObjectFile, PullError> {
        let part = objects.next().await?;
        let part = part.ok_or_else(|| self.damaged(table, "an object is missing".into()))?;
        self.check(table, place, &part.file)?;
        Ok(part.file)
    }

    fn count(&self, table: &SnapshotTable, rows: u64) -> Result<(), PullError> {
        if rows == table.rows {
            return Ok(());
        }
        Err(self.damaged(table, format!("{rows} rows came where {} were announced", table.rows)))
    }

    async fn rows(&mut self, table: &SnapshotTable, file: ObjectFile) -> Result<(), PullError> {
        let name = format!("{}.{}", table.schema, table.name);
        let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
        let reading = tokio::task::spawn_blocking(move || read_object(&file, &sender));
        while let Some(piece) = pieces.recv().await {
            let len = piece.len() as u64;
            self.target.load_rows(piece).await?;
            self.progress.loaded(len, &name);
        }
        let read = reading.await.map_err(|error| PullError::Internal(error.to_string()))?;
        read.map_err(|error| self.damaged(table, error.to_string()))
    }

    fn damaged(&self, table: &SnapshotTable, why: String) -> PullError {
        PullError::Snapshot {
            source_name: self.settings.source.clone(),
            lsn: self.snapshot.lsn,
            table: format!("{}.{}", table.schema, table.name),
            why,
        }
    }

    /// The object must be that part of that table in that snapshot, whatever the list calls it.
    fn check(
        &self,
        table: &SnapshotTable,
        place: usize,
        file: &ObjectFile,
    ) -> Result<(), PullError> {
        let (header, _) = file.open().map_err(|error| self.damaged(table, error.to_string()))?;
        if belongs(&header, &self.settings.source, self.snapshot, table, place) {
            return Ok(());
        }
        Err(self.damaged(table, format!("its object {} holds something else", file.name())))
    }
}

fn belongs(
    header: &ObjectHeader,
    source: &SourceName,
    snapshot: &Snapshot,
    table: &SnapshotTable,
    place: usize,
) -> bool {
    matches!(header.kind, ObjectKind::Snapshot { lsn, table: oid, part, .. }
        if lsn == snapshot.lsn && oid == table.oid && usize::try_from(part) == Ok(place))
        && header.source == *source
        && header.lineage == snapshot.lineage
        && header.channel == table.channel
}

fn read_object(file: &ObjectFile, out: &mpsc::Sender<bytes::Bytes>) -> Result<(), Malformed> {
    let (_, mut chunks) = file.open()?;
    while let Some(chunk) = chunks.next_chunk()? {
        if out.blocking_send(chunk).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wire::{ChannelName, Lineage, Lsn};

    use super::*;

    #[test]
    fn an_object_belongs_to_one_place_of_one_table_of_one_snapshot() {
        let source = SourceName::new("orders").unwrap();
        let table = SnapshotTable {
            oid: 7,
            schema: "public".into(),
            name: "t".into(),
            channel: ChannelName::default_channel(),
            columns: Vec::new(),
            rows: 1,
            raw_len: 1,
            objects: Vec::new(),
        };
        let snapshot = Snapshot {
            lineage: Lineage::from_bytes([1; 16]),
            lsn: Lsn::new(100),
            hashes: Default::default(),
            channel_map: Default::default(),
            definitions: Default::default(),
            tables: Vec::new(),
            created_at: String::new(),
        };
        let right = ObjectHeader {
            source: source.clone(),
            lineage: snapshot.lineage,
            channel: table.channel.clone(),
            route: String::new(),
            raw_len: 1,
            kind: ObjectKind::Snapshot { lsn: snapshot.lsn, table: 7, part: 3, rows: 1 },
        };
        let belongs = |header: &ObjectHeader| belongs(header, &source, &snapshot, &table, 3);
        assert!(belongs(&right));
        let of = |lsn, table, part| ObjectHeader {
            kind: ObjectKind::Snapshot { lsn: Lsn::new(lsn), table, part, rows: 1 },
            ..right.clone()
        };
        let part = ObjectKind::Transaction { session: 1, xid: 1, part: 3 };
        for other in [
            of(101, 7, 3),
            of(100, 8, 3),
            of(100, 7, 2),
            ObjectHeader { kind: part, ..right.clone() },
            ObjectHeader { source: SourceName::new("stock").unwrap(), ..right.clone() },
            ObjectHeader { lineage: Lineage::from_bytes([2; 16]), ..right.clone() },
            ObjectHeader { channel: ChannelName::control(), ..right.clone() },
        ] {
            assert!(!belongs(&other), "{other:?}");
        }
    }
}
