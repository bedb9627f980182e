use std::sync::Arc;

use tokio::sync::mpsc;
use wire::{ObjectHeader, ObjectKind, Snapshot, SnapshotTable};

use super::{error::PullError, settings::Settings, trouble::Trouble};
use crate::{
    fetch::{Refusal, SnapshotObjects, Spool},
    position::Position,
    progress::Progress,
    range::{Malformed, ObjectFile},
    target::{Stored, StoredState, Target},
};

/// Pieces of rows read ahead of the target.
const PIECES_AHEAD: usize = 4;

/// Loads the newest snapshot into an empty target: all of it or nothing.
pub(super) async fn first_load<T: Target>(
    target: &mut T,
    settings: &Settings,
    spool: &Arc<Spool>,
    progress: &Progress,
) -> Result<Stored, PullError> {
    let snapshot = newest_snapshot(settings).await?;
    let mut stored = Stored {
        position: Position::proved(snapshot.lineage, snapshot.lsn, snapshot.hashes.clone()),
        state: StoredState::Loading,
        channels: settings.stored_channels(),
        channel_map: snapshot.channel_map.clone(),
    };
    let bytes = snapshot.tables.iter().map(|table| table.raw_len).sum();
    progress.say(&format!(
        "first load of {} from the snapshot at {}: {} tables, {} MB of rows",
        settings.source,
        snapshot.lsn,
        snapshot.tables.len(),
        bytes / 1_000_000
    ));
    progress.load_begins(bytes);
    target.begin_load(&settings.source, &stored, &snapshot).await?;
    let mut objects =
        SnapshotObjects::start(&settings.relays, spool, &snapshot, &settings.channels);
    let mut loading = Loading { target: &mut *target, settings, progress, snapshot: &snapshot };
    loading.tables(&mut objects).await?;
    stored.state = StoredState::Ready;
    target.finish_load(&settings.source, &stored, &snapshot).await?;
    Ok(stored)
}

/// Waits for a complete snapshot as long as the patience lasts.
async fn newest_snapshot(settings: &Settings) -> Result<Snapshot, PullError> {
    let mut trouble = Trouble::new(settings.patience);
    loop {
        let error = match settings.relays.snapshots(&settings.channels).await {
            Ok(mut snapshots) if !snapshots.is_empty() => return Ok(snapshots.swap_remove(0)),
            Ok(_) => PullError::NotReady {
                relay: settings.relays.in_use(),
                source_name: settings.source.clone(),
            },
            // Its capture may be about to begin.
            Err(error) if error.refusal() == Some(Refusal::UnknownSource) => error.into(),
            Err(error) => return Err(error.into()),
        };
        trouble.pause(error).await?;
    }
}

struct Loading<'a, T> {
    target: &'a mut T,
    settings: &'a Settings,
    progress: &'a Progress,
    snapshot: &'a Snapshot,
}

impl<T: Target> Loading<'_, T> {
    async fn tables(&mut self, objects: &mut SnapshotObjects) -> Result<(), PullError> {
        for table in &self.snapshot.tables {
            self.target.begin_table(table).await?;
            for place in 0..table.objects.len() {
                let part = objects.next().await?;
                let part =
                    part.ok_or_else(|| self.damaged(table, "an object is missing".into()))?;
                self.check(table, place, &part.file)?;
                self.rows(table, part.file).await?;
            }
            let rows = self.target.end_table().await?;
            if rows != table.rows {
                let why = format!("{rows} rows came where {} were announced", table.rows);
                return Err(self.damaged(table, why));
            }
        }
        Ok(())
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

    fn check(
        &self,
        table: &SnapshotTable,
        place: usize,
        file: &ObjectFile,
    ) -> Result<(), PullError> {
        let (header, _) = file.open().map_err(|error| self.damaged(table, error.to_string()))?;
        if header.source == self.settings.source && is_part(&header, self.snapshot, table, place) {
            return Ok(());
        }
        Err(self.damaged(table, format!("its object {} holds something else", file.name())))
    }
}

/// An object must be that part of that table in that snapshot, whatever the list calls it.
fn is_part(
    header: &ObjectHeader,
    snapshot: &Snapshot,
    table: &SnapshotTable,
    place: usize,
) -> bool {
    matches!(header.kind, ObjectKind::Snapshot { lsn, table: oid, part, .. }
        if lsn == snapshot.lsn && oid == table.oid && usize::try_from(part) == Ok(place))
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
    use wire::{ChannelName, Lineage, Lsn, SourceName};

    use super::*;

    #[test]
    fn an_object_is_taken_for_nothing_but_what_it_is() {
        let (lineage, lsn, channel) =
            (Lineage::from_bytes([1; 16]), Lsn::new(10), ChannelName::default_channel());
        let snapshot = Snapshot {
            lineage,
            lsn,
            hashes: Default::default(),
            channel_map: Default::default(),
            definitions: Default::default(),
            tables: Vec::new(),
            created_at: String::new(),
        };
        let table = SnapshotTable {
            oid: 7,
            schema: "public".into(),
            name: "t".into(),
            channel: channel.clone(),
            columns: Vec::new(),
            rows: 0,
            raw_len: 0,
            objects: Vec::new(),
        };
        let of = |lineage, channel: ChannelName, kind| ObjectHeader {
            source: SourceName::new("orders").unwrap(),
            lineage,
            channel,
            route: String::new(),
            raw_len: 0,
            kind,
        };
        let part = |lsn, table, part| ObjectKind::Snapshot { lsn, table, part, rows: 0 };
        let taken = |header: ObjectHeader| is_part(&header, &snapshot, &table, 1);
        assert!(taken(of(lineage, channel.clone(), part(lsn, 7, 1))));
        for kind in [
            part(Lsn::new(11), 7, 1),
            part(lsn, 8, 1),
            part(lsn, 7, 0),
            ObjectKind::Transaction { session: 1, xid: 1, part: 1 },
        ] {
            assert!(!taken(of(lineage, channel.clone(), kind.clone())), "{kind:?}");
        }
        assert!(!taken(of(Lineage::from_bytes([2; 16]), channel.clone(), part(lsn, 7, 1))));
        assert!(!taken(of(lineage, ChannelName::new("b").unwrap(), part(lsn, 7, 1))));
    }
}
