//! Packs histories into slices and objects, cut anywhere, with some transactions in parts.

use std::{collections::BTreeMap, io::Write, path::Path};

use bytes::Bytes;
use wire::{
    ChannelHashes, ChannelName, ChunkWriter, Hash, Lsn, ManifestChannel, ManifestObject,
    ManifestRange, ObjectHeader, ObjectKind, ObjectWriter, PartObject, RecordWriter, Records,
    Slice, SliceBuilder,
};

use super::{
    super::{ChannelFiles, ObjectFile, Range},
    history::{Made, encode, encoder, lineage, source},
};

/// What a piece of a history is packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Slice,
    Objects,
    /// Objects whose transactions all stand in part objects of so many bytes.
    Huge(usize),
}

/// Packs a history piece by piece: each piece is so many transactions. Gives the ranges and the
/// position and hashes behind each transaction.
pub(super) fn pack(
    history: &[Made],
    pieces: &[(usize, Packing)],
    spool: &Path,
) -> (Vec<Range>, BTreeMap<Lsn, ChannelHashes>) {
    let mut builder =
        SliceBuilder::new(source(), lineage(), Lsn::ZERO, ChannelHashes::default(), 1);
    let mut known = BTreeMap::from([(Lsn::ZERO, ChannelHashes::default())]);
    let (mut ranges, mut left) = (Vec::new(), history);
    let mut pieces = pieces.iter().cycle();
    while let (false, Some((count, packing))) = (left.is_empty(), pieces.next()) {
        let (now, later) = left.split_at((*count).clamp(1, left.len()));
        left = later;
        let mut parts = Vec::new();
        for made in now {
            parts.extend(push(&mut builder, made, *packing, spool));
            known.insert(made.end, builder.hashes().clone());
        }
        let through = now.last().unwrap().end;
        let slice = builder.finish(through).unwrap();
        slice.check().unwrap();
        ranges.push(match packing {
            Packing::Slice => {
                Range::from_slice(&Slice::decode(slice.bytes().clone()).unwrap(), |_| true)
            }
            _ => closed(&slice, parts, spool),
        });
    }
    (ranges, known)
}

/// Pushes a transaction; gives the part objects that were made of it, by channel.
fn push(
    builder: &mut SliceBuilder,
    made: &Made,
    packing: Packing,
    spool: &Path,
) -> Vec<(ChannelName, ObjectFile)> {
    let Packing::Huge(part_len) = packing else {
        builder.push(made.start, made.end, &encode(made), &[]).unwrap();
        return Vec::new();
    };
    let mut encoder = encoder(made);
    let (mut named, mut files) = (Vec::new(), Vec::new());
    for run in encoder.channels_mut() {
        let mut objects = Vec::new();
        while !run.bytes.is_empty() {
            let payload = run.drain(part_len);
            let number = u32::try_from(objects.len()).unwrap();
            let kind = ObjectKind::Transaction { session: 1, xid: made.header.xid, part: number };
            let (file, len) = object(&run.channel, kind, &payload, spool);
            objects.push(PartObject { name: file.name(), len });
            files.push((run.channel.clone(), file));
        }
        named.push((run.channel.clone(), objects));
    }
    builder.push(made.start, made.end, &encoder.finish(), &named).unwrap();
    files
}

fn object(
    channel: &ChannelName,
    kind: ObjectKind,
    payload: &[u8],
    spool: &Path,
) -> (ObjectFile, u64) {
    let mut chunks = ChunkWriter::new(1).unwrap();
    // Many small chunks, to cross their borders.
    let mut stored = Vec::new();
    for piece in payload.chunks(97) {
        chunks.stream(piece).unwrap();
        stored.extend(chunks.finish().unwrap().0);
    }
    write(header(channel, kind, payload.len() as u64), &stored, spool)
}

fn header(channel: &ChannelName, kind: ObjectKind, raw_len: u64) -> ObjectHeader {
    let (source, lineage) = (source(), lineage());
    ObjectHeader { source, lineage, channel: channel.clone(), route: String::new(), raw_len, kind }
}

fn write(header: ObjectHeader, stored: &[u8], spool: &Path) -> (ObjectFile, u64) {
    let (bytes, name) = ObjectWriter::assemble(&header, stored).unwrap();
    (spooled(&bytes, name, spool), bytes.len() as u64)
}

/// A file of those bytes under that name, whatever they hash to.
pub(super) fn spooled(bytes: &Bytes, name: Hash, spool: &Path) -> ObjectFile {
    let mut file = tempfile::NamedTempFile::new_in(spool).unwrap();
    file.write_all(bytes).unwrap();
    ObjectFile::new(name, file.into_temp_path())
}

fn closed(slice: &Slice, parts: Vec<(ChannelName, ObjectFile)>, spool: &Path) -> Range {
    let (range, files) = listed(slice, parts, spool);
    Range::from_objects(source(), lineage(), &range, files).unwrap()
}

/// As the relay seals: the records of each channel, packed anew; and how a manifest lists them.
pub(super) fn listed(
    slice: &Slice,
    parts: Vec<(ChannelName, ObjectFile)>,
    spool: &Path,
) -> (ManifestRange, Vec<ChannelFiles>) {
    let from = slice.header();
    let (mut channels, mut files) = (Vec::new(), Vec::new());
    for (part, payload) in slice.parts() {
        let mut records = RecordWriter::new(3).unwrap();
        let mut chunks = wire::ChunkReader::new(payload).unwrap();
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            for record in Records::new(chunk) {
                records.record(&record.unwrap()).unwrap();
            }
        }
        let (stored, raw_len) = records.finish().unwrap();
        let kind = ObjectKind::Log {
            after: from.after,
            through: from.through,
            before: part.before,
            after_hash: part.after,
        };
        let (object, len) = write(header(&part.channel, kind, raw_len), &stored, spool);
        let listed = |name, len| ManifestObject { name, len, url: String::new() };
        channels.push(ManifestChannel {
            channel: part.channel.clone(),
            before: part.before,
            after: part.after,
            transactions: part.transactions,
            changes: part.changes,
            raw_len,
            object: listed(object.name(), len),
            parts: part.parts.iter().map(|part| listed(part.name, part.len)).collect(),
        });
        let own = parts.iter().filter(|(channel, _)| *channel == part.channel);
        let own = own.map(|(_, file)| file.clone()).collect();
        files.push(ChannelFiles { object, parts: own });
    }
    let range = ManifestRange {
        after: from.after,
        through: from.through,
        commit: from.commit,
        transactions: from.transactions,
        changes: from.changes,
        channels,
    };
    (range, files)
}
