//! For tests: a capture's side of the wire. Makes transactions and packs them into slices.

use std::sync::Arc;

use bytes::Bytes;
use wire::{
    Change, ChannelHashes, ChannelName, ChunkWriter, Hash, Lineage, Lsn, ObjectHeader, ObjectKind,
    ObjectWriter, PartObject, Relation, RelationColumn, ReplicaIdentity, Slice, SliceBuilder,
    SourceName, TransactionEncoder, TransactionHeader, TypeName, Value,
};

pub(crate) fn source() -> SourceName {
    SourceName::new("orders").unwrap()
}

pub(crate) fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

fn relation(table: &str) -> Arc<Relation> {
    Arc::new(Relation {
        oid: 7,
        schema: "public".into(),
        name: table.into(),
        identity: ReplicaIdentity::Default,
        columns: vec![RelationColumn {
            name: "id".into(),
            key: true,
            type_name: TypeName { schema: "pg_catalog".into(), name: "text".into() },
            type_oid: 25,
            type_modifier: -1,
        }],
    })
}

/// Rows of one transaction, by channel.
pub(crate) type Rows<'a> = &'a [(&'a str, &'a [u8])];

/// Packs transactions into slices, each commit 100 bytes of WAL behind the one before.
pub(crate) struct Feed {
    pub(crate) lineage: Lineage,
    pub(crate) builder: SliceBuilder,
    pub(crate) at: u64,
    pub(crate) commit_time_us: i64,
}

impl Feed {
    pub(crate) fn new(lineage: Lineage, head: Lsn, hashes: ChannelHashes) -> Self {
        let builder = SliceBuilder::new(source(), lineage, head, hashes, 1);
        Self { lineage, builder, at: head.get(), commit_time_us: 1_700_000_000_000_000 }
    }

    /// Adds a transaction to the open slice; returns its end.
    pub(crate) fn commit(&mut self, rows: Rows<'_>) -> Lsn {
        let (start, end) = (Lsn::new(self.at + 50), Lsn::new(self.at + 100));
        self.at += 100;
        let header = TransactionHeader {
            xid: u32::try_from(self.at & 0xFFFF).unwrap(),
            commit_time_us: self.commit_time_us,
        };
        let mut encoder = TransactionEncoder::new(header);
        for (name, row) in rows {
            let relation = relation(name);
            let id = relation.id();
            let new = vec![Value::Text(Bytes::copy_from_slice(row))];
            encoder.push(&channel(name), &Change::Insert { relation: (id, relation), new });
        }
        self.builder.push(start, end, &encoder.finish(), &[]).unwrap();
        end
    }

    /// Ends the open slice at the last commit.
    pub(crate) fn slice(&mut self) -> Slice {
        self.builder.finish(Lsn::new(self.at)).unwrap()
    }

    /// A slice of one transaction.
    pub(crate) fn one(&mut self, rows: Rows<'_>) -> Slice {
        self.commit(rows);
        self.slice()
    }

    /// A slice without changes.
    pub(crate) fn progress(&mut self) -> Slice {
        self.at += 10;
        self.slice()
    }

    /// A transaction whose run in channel `name` stands in part objects, and those objects.
    pub(crate) fn huge(
        &mut self,
        name: &str,
        row: &[u8],
        session: u64,
    ) -> (Slice, Vec<(Hash, Bytes)>) {
        let (start, end) = (Lsn::new(self.at + 50), Lsn::new(self.at + 100));
        self.at += 100;
        let header = TransactionHeader { xid: 9, commit_time_us: self.commit_time_us };
        let mut encoder = TransactionEncoder::new(header);
        let relation = relation(name);
        let id = relation.id();
        for _ in 0..10 {
            let new = vec![Value::Text(Bytes::copy_from_slice(row))];
            let relation = (id, relation.clone());
            encoder.push(&channel(name), &Change::Insert { relation, new });
        }
        let mut objects = Vec::new();
        for (part, run) in (0..).zip(encoder.channels_mut()) {
            let bytes = run.drain(usize::MAX);
            let kind = ObjectKind::Transaction { session, xid: 9, part };
            objects.push(object(self.lineage, name, kind, &bytes));
        }
        let parts: Vec<PartObject> = objects
            .iter()
            .map(|(name, bytes)| PartObject { name: *name, len: bytes.len() as u64 })
            .collect();
        let transaction = encoder.finish();
        self.builder.push(start, end, &transaction, &[(channel(name), parts)]).unwrap();
        (self.slice(), objects)
    }
}

/// An object with these bytes as its payload.
pub(crate) fn object(
    lineage: Lineage,
    name: &str,
    kind: ObjectKind,
    content: &[u8],
) -> (Hash, Bytes) {
    let mut chunks = ChunkWriter::new(1).unwrap();
    chunks.stream(content).unwrap();
    let (payload, raw_len) = chunks.finish().unwrap();
    let header = ObjectHeader {
        source: source(),
        lineage,
        channel: channel(name),
        route: String::new(),
        raw_len,
        kind,
    };
    let (bytes, name) = ObjectWriter::assemble(&header, &payload).unwrap();
    (name, bytes)
}
