use tokio::sync::mpsc;
use wire::{ObjectHeader, ObjectKind, Snapshot, SnapshotTable, SourceName};

use super::{error::PullError, settings::Settings};
use crate::{
    fetch::{SnapshotObjects, SnapshotPart},
    progress::Progress,
    range::{Malformed, ObjectFile},
    target::{RowWriter, Target},
};

/// Pieces of rows read ahead of a writer.
const PIECES_AHEAD: usize = 4;

/// What is loaded, and how it is told.
#[derive(Clone, Copy)]
pub(super) struct Loading<'a> {
    pub(super) settings: &'a Settings,
    pub(super) progress: &'a Progress,
    pub(super) snapshot: &'a Snapshot,
}

impl Loading<'_> {
    /// All rows of all tables, in the open transaction, into the tables themselves.
    pub(super) async fn within<T: Target>(
        &self,
        target: &mut T,
        objects: &mut SnapshotObjects,
    ) -> Result<(), PullError> {
        for table in &self.snapshot.tables {
            target.begin_rows(self.snapshot, table).await?;
            self.table(target.writer(), table, objects).await?;
        }
        Ok(())
    }

    /// All rows of a table that was begun.
    pub(super) async fn table(
        &self,
        writer: &mut impl RowWriter,
        table: &SnapshotTable,
        objects: &mut SnapshotObjects,
    ) -> Result<(), PullError> {
        for place in 0..table.objects.len() {
            let part = objects.next().await?.filter(|part| part.object == place);
            let part = part.ok_or_else(|| self.damaged(table, "an object is missing".into()))?;
            self.rows(writer, table, &part).await?;
        }
        let rows = writer.end_table().await?;
        if rows == table.rows { Ok(()) } else { Err(self.miscounted(table, rows)) }
    }

    /// The rows of an object of a table that was begun.
    pub(super) async fn rows(
        &self,
        writer: &mut impl RowWriter,
        table: &SnapshotTable,
        part: &SnapshotPart,
    ) -> Result<(), PullError> {
        self.check(table, part.object, &part.file)?;
        let name = format!("{}.{}", table.schema, table.name);
        let file = part.file.clone();
        let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
        let reading = tokio::task::spawn_blocking(move || read_object(&file, &sender));
        while let Some(piece) = pieces.recv().await {
            let len = piece.len() as u64;
            writer.load_rows(piece).await?;
            self.progress.loaded(len, &name);
        }
        let read = reading.await.map_err(|error| PullError::Internal(error.to_string()))?;
        read.map_err(|error| self.damaged(table, error.to_string()))
    }

    pub(super) fn miscounted(&self, table: &SnapshotTable, rows: u64) -> PullError {
        self.damaged(table, format!("{rows} rows came where {} were announced", table.rows))
    }

    pub(super) fn damaged(&self, table: &SnapshotTable, why: String) -> PullError {
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
