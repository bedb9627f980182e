use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use wire::{
    ChannelName, ChunkWriter, Lineage, Lsn, ObjectError, ObjectHeader, ObjectKind, ObjectWriter,
    SnapshotObject, SourceName,
};

/// Uncompressed bytes of one object, unless a single row is longer.
const RAW_LIMIT: u64 = 16 << 20;
/// zstd level. Higher ones take a third more time and more, and save less than a hundredth of the bytes.
const LEVEL: i32 = 1;

/// What every object of one table says of itself.
#[derive(Debug, Clone)]
pub(super) struct TableLabel {
    pub(super) source: SourceName,
    pub(super) lineage: Lineage,
    pub(super) channel: ChannelName,
    pub(super) lsn: Lsn,
    pub(super) oid: u32,
}

/// An object of rows, and its entry in the snapshot.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    /// Its place among the table's objects.
    pub(super) part: u32,
    pub(super) object: SnapshotObject,
    pub(super) bytes: Bytes,
}

/// Packs rows of one table, lines of COPY's text format, into objects. A row is never split.
#[derive(Debug)]
pub(super) struct RowPacker {
    label: TableLabel,
    chunks: ChunkWriter,
    rows: u64,
    parts: Arc<AtomicU32>,
    stored_limit: usize,
}

impl RowPacker {
    /// Objects take their numbers from `parts` as they become full, so that several packers of one table
    /// leave no gap. One ends at `stored_limit` bytes too: that bounds memory where nothing compresses.
    pub(super) fn new(
        label: TableLabel,
        parts: Arc<AtomicU32>,
        stored_limit: usize,
    ) -> Result<Self, ObjectError> {
        Ok(Self { label, chunks: ChunkWriter::new(LEVEL)?, rows: 0, parts, stored_limit })
    }

    /// Adds one row with its newline. Returns the object that was full before it.
    pub(super) fn row(&mut self, line: &[u8]) -> Result<Option<Packed>, ObjectError> {
        let full = self.rows > 0
            && (self.chunks.raw_len() + line.len() as u64 > RAW_LIMIT
                || self.chunks.stored_len() >= self.stored_limit);
        let packed = if full { self.finish()? } else { None };
        self.chunks.stream(line)?;
        self.rows += 1;
        Ok(packed)
    }

    /// The object under construction, if it has rows.
    pub(super) fn finish(&mut self) -> Result<Option<Packed>, ObjectError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let (payload, raw_len) = self.chunks.finish()?;
        let rows = std::mem::take(&mut self.rows);
        let TableLabel { source, lineage, channel, lsn, oid } = self.label.clone();
        let part = self.parts.fetch_add(1, Ordering::Relaxed);
        let kind = ObjectKind::Snapshot { lsn, table: oid, part, rows };
        let header = ObjectHeader { source, lineage, channel, route: String::new(), raw_len, kind };
        let (bytes, name) = ObjectWriter::assemble(&header, &payload)?;
        let len = bytes.len() as u64;
        let object = SnapshotObject { name, len, rows, raw_len, url: None };
        Ok(Some(Packed { part, object, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use wire::ObjectReader;

    use super::*;

    fn label() -> TableLabel {
        TableLabel {
            source: SourceName::new("s").unwrap(),
            lineage: Lineage::from_bytes([1; 16]),
            channel: ChannelName::default_channel(),
            lsn: Lsn::new(9),
            oid: 7,
        }
    }

    #[test]
    fn what_does_not_compress_ends_an_object_early() {
        let parts = Arc::new(AtomicU32::new(0));
        let mut packers = [0, 1].map(|_| RowPacker::new(label(), parts.clone(), 1 << 20).unwrap());
        let mut noise = vec![b'\n'; 10_000];
        let mut packed = Vec::new();
        for number in 0..1000 {
            getrandom::fill(&mut noise[..9999]).unwrap();
            packed.extend(packers[number % 2].row(&noise).unwrap());
        }
        packers.iter_mut().for_each(|packer| packed.extend(packer.finish().unwrap()));
        let longest = packed.iter().map(|packed| packed.bytes.len()).max().unwrap();
        assert!(longest < (3 << 19), "{longest}");
        let numbers: Vec<u32> = packed.iter().map(|packed| packed.part).collect();
        assert!((0..).zip(&numbers).all(|(at, number)| at == *number), "{numbers:?}");
    }

    #[test]
    fn rows_come_back_whole_and_in_order() {
        let mut packer = RowPacker::new(label(), Arc::default(), usize::MAX).unwrap();
        let long = [b"z".repeat(20 << 20), b"\n".to_vec()].concat();
        let mut lines: Vec<Vec<u8>> =
            (0..40_000_u32).map(|n| format!("{n}\t{n:0900}\n").into_bytes()).collect();
        lines.insert(20_000, long);
        let mut packed = Vec::new();
        for line in &lines {
            packed.extend(packer.row(line).unwrap());
        }
        packed.extend(packer.finish().unwrap());
        assert!(packed.len() > 4, "{}", packed.len());
        let mut all = Vec::new();
        let mut rows = 0;
        for (part, Packed { object, bytes, .. }) in packed.into_iter().enumerate() {
            let reader = ObjectReader::named(bytes, object.name).unwrap();
            let ObjectKind::Snapshot { part: said, rows: of, .. } = reader.header().kind else {
                panic!()
            };
            assert_eq!((said as usize, of), (part, object.rows));
            assert!(object.raw_len <= RAW_LIMIT || object.rows == 1);
            rows += of;
            let mut chunks = reader.chunks().unwrap();
            while let Some(chunk) = chunks.next_chunk().unwrap() {
                all.extend_from_slice(&chunk);
            }
            assert_eq!(all.last(), Some(&b'\n'));
        }
        assert_eq!(rows, 40_001);
        assert!(all == lines.concat());
    }
}
