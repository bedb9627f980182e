//! A master and a relay for tests: the master sends a scripted history as PostgreSQL would, from
//! wherever its slot stands; the relay checks and keeps what it is given.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::{BufMut, Bytes};
use wire::{
    ChannelHashes, ChannelMap, ChunkReader, Commit, Hash, Lineage, Lsn, ObjectReader, Record,
    Records, Slice, SourceName,
};

use super::{Assembler, AssemblerSettings, PartUpload, StartingPoint};
use crate::pgoutput::{Message, decode};

const PG_EPOCH_US: i64 = 946_684_800_000_000;

/// One change of a transaction.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Insert { table: u32, text: String },
    Delete { table: u32, text: String },
    Truncate { tables: Vec<u32> },
    Message { prefix: &'static str, content: String },
}

/// What lies in the master's WAL.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// A transaction; without ops it is sent as an empty one (servers up to 14).
    Transaction { xid: u32, ops: Vec<Op> },
    /// A message outside any transaction.
    Lone { content: String },
    /// WAL of no interest.
    Other,
}

/// A history with positions: the record that ends each piece lies at `start..end`.
#[derive(Debug, Clone)]
pub(super) struct Wal {
    pub(super) pieces: Vec<(Lsn, Lsn, Piece)>,
}

impl Wal {
    pub(super) fn new(pieces: Vec<Piece>) -> Self {
        let mut at = 1_000;
        let place = |(number, piece): (usize, Piece)| {
            let start = at + 40 + (number as u64 * 7) % 50;
            at = start + 48;
            (Lsn::new(start), Lsn::new(at), piece)
        };
        Self { pieces: pieces.into_iter().enumerate().map(place).collect() }
    }

    pub(super) const BEGIN: Lsn = Lsn::new(1_000);

    pub(super) fn end(&self) -> Lsn {
        self.pieces.last().map_or(Self::BEGIN, |(_, end, _)| *end)
    }

    /// What a server sends whose slot stands at `confirmed`, on one connection.
    pub(super) fn stream(&self, confirmed: Lsn) -> Vec<Sent> {
        self.stream_of(confirmed, "public")
    }

    /// The same, on a connection that knows the tables' schema by that name.
    pub(super) fn stream_of(&self, confirmed: Lsn, schema: &str) -> Vec<Sent> {
        let mut sent = vec![Sent::Keepalive(confirmed)];
        let mut described = HashSet::new();
        for (start, end, piece) in &self.pieces {
            let skipped = *start < confirmed;
            match piece {
                Piece::Transaction { xid, ops } if !skipped => {
                    let time = time_of(*start);
                    sent.push(message(begin(*start, time, *xid)));
                    for op in ops {
                        for table in op.tables() {
                            if described.insert(table) {
                                sent.push(message(relation(schema, table)));
                            }
                        }
                        sent.push(message(op.encode(*start)));
                    }
                    sent.push(message(commit(*start, *end, time)));
                }
                Piece::Lone { content } if !skipped => {
                    sent.push(message(logical(false, *end, "user", content)));
                }
                Piece::Other => sent.push(Sent::Keepalive(*end)),
                _ => {}
            }
        }
        sent
    }
}

/// One thing that the server sends.
#[derive(Debug, Clone)]
pub(super) enum Sent {
    Message(Box<Message>),
    Keepalive(Lsn),
}

fn message(bytes: Vec<u8>) -> Sent {
    Sent::Message(Box::new(decode(bytes.into(), Lsn::ZERO).unwrap()))
}

fn time_of(start: Lsn) -> i64 {
    PG_EPOCH_US + i64::try_from(start.get()).unwrap() * 1_000
}

impl Op {
    fn tables(&self) -> Vec<u32> {
        match self {
            Self::Insert { table, .. } | Self::Delete { table, .. } => vec![*table],
            Self::Truncate { tables } => tables.clone(),
            Self::Message { .. } => Vec::new(),
        }
    }

    fn encode(&self, lsn: Lsn) -> Vec<u8> {
        match self {
            Self::Insert { table, text } => row(b'I', *table, b'N', text),
            Self::Delete { table, text } => row(b'D', *table, b'K', text),
            Self::Truncate { tables } => {
                let mut out = vec![b'T'];
                out.put_u32(tables.len().try_into().unwrap());
                out.put_u8(1);
                tables.iter().for_each(|table| out.put_u32(*table));
                out
            }
            Self::Message { prefix, content } => logical(true, lsn, prefix, content),
        }
    }
}

fn begin(start: Lsn, time_us: i64, xid: u32) -> Vec<u8> {
    let mut out = vec![b'B'];
    out.put_u64(start.get());
    out.put_i64(time_us - PG_EPOCH_US);
    out.put_u32(xid);
    out
}

fn commit(start: Lsn, end: Lsn, time_us: i64) -> Vec<u8> {
    let mut out = vec![b'C', 0];
    out.put_u64(start.get());
    out.put_u64(end.get());
    out.put_i64(time_us - PG_EPOCH_US);
    out
}

fn relation(schema: &str, table: u32) -> Vec<u8> {
    let mut out = vec![b'R'];
    out.put_u32(table);
    out.put_slice(format!("{schema}\0t{table}\0d").as_bytes());
    out.put_u16(1);
    out.put_slice(b"\x01id\0");
    out.put_u32(25);
    out.put_i32(-1);
    out
}

fn row(tag: u8, table: u32, kind: u8, text: &str) -> Vec<u8> {
    let mut out = vec![tag];
    out.put_u32(table);
    out.put_u8(kind);
    out.put_u16(1);
    out.put_u8(b't');
    out.put_u32(text.len().try_into().unwrap());
    out.put_slice(text.as_bytes());
    out
}

fn logical(transactional: bool, lsn: Lsn, prefix: &str, content: &str) -> Vec<u8> {
    let mut out = vec![b'M', u8::from(transactional)];
    out.put_u64(lsn.get());
    out.put_slice(prefix.as_bytes());
    out.put_u8(0);
    out.put_u32(content.len().try_into().unwrap());
    out.put_slice(content.as_bytes());
    out
}

/// A relay that checks every slice against what it has, and keeps everything.
#[derive(Debug, Clone)]
pub(super) struct Log {
    pub(super) head: Lsn,
    pub(super) hashes: ChannelHashes,
    pub(super) map: ChannelMap,
    pub(super) known: Option<Commit>,
    /// Every run by channel and position.
    pub(super) runs: BTreeMap<(String, Lsn), Vec<u8>>,
    objects: HashMap<Hash, Bytes>,
    pub(super) slices: usize,
    pub(super) parts: usize,
}

pub(super) fn lineage() -> Lineage {
    Lineage::from_bytes([7; 16])
}

impl Log {
    pub(super) fn new(map: ChannelMap) -> Self {
        Self {
            head: Wal::BEGIN,
            hashes: ChannelHashes::default(),
            map,
            known: None,
            runs: BTreeMap::new(),
            objects: HashMap::new(),
            slices: 0,
            parts: 0,
        }
    }

    pub(super) fn assembler(&self, confirmed: Lsn, session: u64, drain_above: usize) -> Assembler {
        let source = SourceName::new("s").unwrap();
        let settings = AssemblerSettings {
            drain_above,
            part_raw: 2 * drain_above,
            ..AssemblerSettings::new(source, lineage(), session)
        };
        let start = StartingPoint {
            head: self.head,
            hashes: self.hashes.clone(),
            channel_map: self.map.clone(),
            known: self.known,
            confirmed,
        };
        Assembler::new(settings, start)
    }

    pub(super) fn upload(&mut self, part: PartUpload) {
        assert_eq!(Hash::of(&part.bytes), part.object.name);
        assert_eq!(part.bytes.len() as u64, part.object.len);
        self.objects.insert(part.object.name, part.bytes);
        self.parts += 1;
    }

    pub(super) fn append(&mut self, slice: &Slice) {
        slice.check().unwrap();
        let header = slice.header();
        assert_eq!(header.after, self.head, "no gap, no repeat");
        assert!(header.through > header.after);
        for (part, payload) in slice.parts() {
            assert_eq!(part.before, self.hashes.get(lineage(), &part.channel));
            let mut hash = part.before;
            let mut chunks = ChunkReader::new(payload).unwrap();
            while let Some(chunk) = chunks.next_chunk().unwrap() {
                for record in Records::new(chunk) {
                    let (lsn, run) = match record.unwrap() {
                        Record::Relation(_) => continue,
                        Record::Transaction { lsn, run } => (lsn, run.to_vec()),
                        Record::Huge(huge) => {
                            let run: Vec<u8> =
                                huge.parts.iter().flat_map(|name| self.part(*name)).collect();
                            assert_eq!(
                                (run.len() as u64, Hash::of(&run)),
                                (huge.raw_len, huge.digest)
                            );
                            (huge.lsn, run)
                        }
                    };
                    assert!(lsn > header.after && lsn <= header.through);
                    hash = hash.extended(lsn, Hash::of(&run));
                    assert!(self.runs.insert((part.channel.to_string(), lsn), run).is_none());
                }
            }
            assert_eq!(hash, part.after);
            self.hashes.set(part.channel.clone(), hash);
        }
        if let Some(map) = &header.channel_map {
            self.map = serde_json::from_slice(map).unwrap();
        }
        self.head = header.through;
        self.known = header.commit.or(self.known);
        self.slices += 1;
    }

    fn part(&self, name: Hash) -> Vec<u8> {
        let reader = ObjectReader::named(self.objects[&name].clone(), name).unwrap();
        let mut chunks = reader.chunks().unwrap();
        let mut raw = Vec::new();
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            raw.extend_from_slice(&chunk);
        }
        raw
    }
}
