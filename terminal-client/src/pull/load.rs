use std::sync::Arc;

use tokio::sync::mpsc;
use wire::{ObjectKind, Snapshot, SnapshotTable};

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

    /// The object must be that part of that table in that snapshot, whatever the list calls it.
    fn check(
        &self,
        table: &SnapshotTable,
        place: usize,
        file: &ObjectFile,
    ) -> Result<(), PullError> {
        let (header, _) = file.open().map_err(|error| self.damaged(table, error.to_string()))?;
        let right = matches!(header.kind, ObjectKind::Snapshot { lsn, table: oid, part, .. }
            if lsn == self.snapshot.lsn && oid == table.oid && usize::try_from(part) == Ok(place))
            && header.source == self.settings.source
            && header.lineage == self.snapshot.lineage
            && header.channel == table.channel;
        if right {
            return Ok(());
        }
        Err(self.damaged(table, format!("its object {} holds something else", file.name())))
    }
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
