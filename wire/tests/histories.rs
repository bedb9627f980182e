//! Property tests over random histories: what is encoded comes back, packing changes no hash,
//! damage is always found, lying lengths are refused.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_wrap,
    reason = "a panic is how a test fails; clippy's own exception ends at helper functions"
)]

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use proptest::prelude::*;
use wire::{
    Change, ChannelHashes, ChannelName, ChunkReader, EncodedTransaction, EntryReader, Hash,
    Lineage, Lsn, ObjectHeader, ObjectKind, ObjectReader, ObjectWriter, OldRow, Record,
    RecordWriter, Records, Relation, RelationColumn, RelationId, ReplicaIdentity, Slice,
    SliceBuilder, SourceName, TransactionDecoder, TransactionEncoder, TransactionHeader, Tuple,
    TypeName, Value, split_slice,
};

type Planned = Vec<(usize, Change<usize>)>;

fn lineage() -> Lineage {
    Lineage::from_bytes([7; 16])
}

fn source() -> SourceName {
    SourceName::new("orders").unwrap()
}

fn channels() -> Vec<ChannelName> {
    ["control", "default", "sales"].map(|name| ChannelName::new(name).unwrap()).to_vec()
}

fn relations() -> Vec<Arc<Relation>> {
    let relation = |oid: u32, columns: usize| {
        let column = |at: usize| RelationColumn {
            name: format!("c \"{at}\""),
            key: at == 0,
            type_name: TypeName { schema: "pg_catalog".into(), name: "text".into() },
            type_oid: 25,
            type_modifier: -1,
        };
        Arc::new(Relation {
            oid,
            schema: "public".into(),
            name: format!("täble {oid}"),
            identity: ReplicaIdentity::Default,
            columns: (0..columns).map(column).collect(),
        })
    };
    vec![relation(1, 0), relation(2, 1), relation(3, 5), relation(4, 40)]
}

fn value() -> impl Strategy<Value = Value> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    prop_oneof![
        Just(Value::Null),
        Just(Value::Unchanged),
        bytes().prop_map(Value::Text),
        bytes().prop_map(Value::Binary)
    ]
}

fn tuple() -> impl Strategy<Value = Tuple> {
    prop::collection::vec(value(), 0..6)
}

fn change() -> impl Strategy<Value = Change<usize>> {
    let old = || prop_oneof![tuple().prop_map(OldRow::Key), tuple().prop_map(OldRow::Full)];
    let table = || 0_usize..4;
    prop_oneof![
        4 => (table(), tuple()).prop_map(|(relation, new)| Change::Insert { relation, new }),
        4 => (table(), prop::option::of(old()), tuple())
            .prop_map(|(relation, old, new)| Change::Update { relation, old, new }),
        2 => (table(), old()).prop_map(|(relation, old)| Change::Delete { relation, old }),
        1 => (prop::collection::vec(table(), 0..4), any::<bool>(), any::<bool>()).prop_map(
            |(relations, cascade, restart_identity)| Change::Truncate {
                relations,
                cascade,
                restart_identity
            }
        ),
        1 => ("[a-z]{0,9}", prop::collection::vec(any::<u8>(), 0..30), any::<bool>()).prop_map(
            |(prefix, content, transactional)| Change::Message {
                prefix,
                content: content.into(),
                transactional
            }
        ),
    ]
}

fn history() -> impl Strategy<Value = Vec<Planned>> {
    let transaction = prop::collection::vec((0_usize..3, change()), 1..8);
    prop::collection::vec(transaction, 1..12)
}

fn with_relations(change: &Change<usize>) -> Change<(RelationId, Arc<Relation>)> {
    let all = relations();
    let get = |at: &usize| (all[*at].id(), all[*at].clone());
    rename(change, &get)
}

fn rename<A, B>(change: &Change<A>, get: &impl Fn(&A) -> B) -> Change<B> {
    match change {
        Change::Insert { relation, new } => {
            Change::Insert { relation: get(relation), new: new.clone() }
        }
        Change::Update { relation, old, new } => {
            Change::Update { relation: get(relation), old: old.clone(), new: new.clone() }
        }
        Change::Delete { relation, old } => {
            Change::Delete { relation: get(relation), old: old.clone() }
        }
        Change::Truncate { relations, cascade, restart_identity } => Change::Truncate {
            relations: relations.iter().map(get).collect(),
            cascade: *cascade,
            restart_identity: *restart_identity,
        },
        Change::Message { prefix, content, transactional } => Change::Message {
            prefix: prefix.clone(),
            content: content.clone(),
            transactional: *transactional,
        },
    }
}

fn encode(at: usize, planned: &Planned) -> (Lsn, EncodedTransaction) {
    let header = TransactionHeader {
        xid: u32::try_from(at).unwrap() + 700,
        commit_time_us: 1_000 * at as i64,
    };
    let mut encoder = TransactionEncoder::new(header);
    for (channel, change) in planned {
        encoder.push(&channels()[*channel], &with_relations(change));
    }
    (Lsn::new(1000 + at as u64 * 50), encoder.finish())
}

fn builder() -> SliceBuilder {
    SliceBuilder::new(source(), lineage(), Lsn::new(10), ChannelHashes::default(), 1)
}

/// Packs the history, closing a slice wherever `cuts` says so.
fn pack(history: &[Planned], cuts: &[bool]) -> (Vec<Slice>, ChannelHashes) {
    let mut builder = builder();
    let mut slices = Vec::new();
    for (at, planned) in history.iter().enumerate() {
        let (end, transaction) = encode(at, planned);
        builder.push(Lsn::new(end.get() - 8), end, &transaction, &[]).unwrap();
        if cuts.get(at).copied().unwrap_or(false) || at + 1 == history.len() {
            slices.push(builder.finish(end).unwrap());
        }
    }
    (slices, builder.hashes().clone())
}

type Decoded = Vec<(Lsn, ChannelName, u64, Change<Arc<Relation>>)>;

/// Reads slices alone, one by one, checking the running hashes; the changes in order.
fn unpack(slices: &[Slice]) -> (Decoded, ChannelHashes) {
    let mut out = Decoded::new();
    let mut hashes = ChannelHashes::default();
    for slice in slices {
        slice.check().unwrap();
        for (part, payload) in slice.parts() {
            let mut hash = hashes.get(lineage(), &part.channel);
            assert_eq!(hash, part.before);
            let mut known = HashMap::new();
            let mut chunks = ChunkReader::new(payload).unwrap();
            while let Some(chunk) = chunks.next_chunk().unwrap() {
                for record in Records::new(chunk) {
                    match record.unwrap() {
                        Record::Relation(relation) => {
                            known.insert(relation.id(), Arc::new(relation));
                        }
                        Record::Transaction { lsn, run } => {
                            hash = hash.extended(lsn, Hash::of(&run));
                            for (ordinal, change) in decode_run(&run, &known) {
                                out.push((lsn, part.channel.clone(), ordinal, change));
                            }
                        }
                        Record::Huge(_) => panic!("nothing huge was written"),
                    }
                }
            }
            assert_eq!(hash, part.after);
            hashes.set(part.channel.clone(), hash);
        }
    }
    out.sort_by_key(|(lsn, _, ordinal, _)| (*lsn, *ordinal));
    (out, hashes)
}

fn decode_run(
    run: &Bytes,
    known: &HashMap<RelationId, Arc<Relation>>,
) -> Vec<(u64, Change<Arc<Relation>>)> {
    let (_, mut entries) = TransactionDecoder::header(run).unwrap();
    let mut decoder = TransactionDecoder::new();
    std::iter::from_fn(|| decoder.next(&mut entries, known).unwrap()).collect()
}

fn expected(history: &[Planned]) -> Decoded {
    let all = relations();
    history
        .iter()
        .enumerate()
        .flat_map(|(at, planned)| {
            let lsn = Lsn::new(1000 + at as u64 * 50);
            let all = all.clone();
            planned.iter().enumerate().map(move |(ordinal, (channel, change))| {
                let change = rename(change, &|at: &usize| all[*at].clone());
                (lsn, channels()[*channel].clone(), ordinal as u64, change)
            })
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_encoded_comes_back(history in history(), cuts in prop::collection::vec(any::<bool>(), 12)) {
        let (slices, hashes) = pack(&history, &cuts);
        let again: Vec<Slice> =
            slices.iter().map(|slice| Slice::decode(slice.bytes().clone()).unwrap()).collect();
        let (decoded, recomputed) = unpack(&again);
        prop_assert_eq!(decoded, expected(&history));
        prop_assert_eq!(recomputed, hashes);
    }

    #[test]
    fn packing_never_changes_a_hash(
        history in history(),
        one in prop::collection::vec(any::<bool>(), 12),
        other in prop::collection::vec(any::<bool>(), 12),
    ) {
        let (_, first) = pack(&history, &one);
        let (_, second) = pack(&history, &other);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn slices_stand_in_a_row_and_channels_are_left_out_by_copying(
        history in history(), cuts in prop::collection::vec(any::<bool>(), 12), kept in 0_usize..3,
    ) {
        let (slices, _) = pack(&history, &cuts);
        let kept = channels()[kept].clone();
        let mut row = Vec::new();
        for slice in &slices {
            row.extend_from_slice(slice.filtered(|name| *name == kept).unwrap().bytes());
        }
        let mut rest = Bytes::from(row);
        let mut read = Vec::new();
        while let Some((slice, left)) = split_slice(rest).unwrap() {
            read.push(slice);
            rest = left;
        }
        let (decoded, _) = unpack(&read);
        let mut wanted = expected(&history);
        wanted.retain(|(_, channel, ..)| *channel == kept);
        prop_assert_eq!(decoded, wanted);
    }

    #[test]
    fn payloads_are_joined_by_copying(history in history(), cuts in prop::collection::vec(any::<bool>(), 12)) {
        let (slices, _) = pack(&history, &cuts);
        let mut joined: HashMap<ChannelName, Vec<u8>> = HashMap::new();
        let mut separate: HashMap<ChannelName, Vec<u8>> = HashMap::new();
        for slice in &slices {
            for (part, payload) in slice.parts() {
                joined.entry(part.channel.clone()).or_default().extend_from_slice(&payload);
                separate.entry(part.channel.clone()).or_default().extend(raw(payload));
            }
        }
        for (channel, payload) in joined {
            prop_assert_eq!(&raw(payload.into()), &separate[&channel]);
        }
    }

    #[test]
    fn damage_is_always_found(history in history(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (slices, _) = pack(&history, &[]);
        let mut bytes = slices[0].bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let found = match Slice::decode(bytes.into()) {
            Err(_) => true,
            Ok(slice) => slice.check().is_err(),
        };
        prop_assert!(found, "a flipped bit at byte {} went unseen", at);
    }

    #[test]
    fn a_cut_slice_is_refused(history in history(), at in any::<prop::sample::Index>()) {
        let (slices, _) = pack(&history, &[]);
        let bytes = slices[0].bytes();
        prop_assert!(Slice::decode(bytes.slice(..at.index(bytes.len()))).is_err());
    }

    #[test]
    fn objects_come_back_and_damage_is_found(
        history in history(), at in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let (bytes, name) = object(&history);
        let reader = ObjectReader::named(bytes.clone(), name).unwrap();
        reader.check().unwrap();
        let mut chunks = reader.chunks().unwrap();
        let mut count = 0;
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            count += Records::new(chunk).map(|r| r.unwrap()).filter(|r| matches!(r, Record::Transaction { .. })).count();
        }
        let touched = history.iter().filter(|t| t.iter().any(|(c, _)| *c == 1)).count();
        prop_assert_eq!(count, touched);

        let mut bytes = bytes.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let bytes = Bytes::from(bytes);
        prop_assert!(ObjectReader::named(bytes.clone(), name).is_err());
        prop_assert!(ObjectReader::decode(bytes).and_then(|o| o.check()).is_err());
    }

    #[test]
    fn a_drained_run_is_the_same_run(planned in prop::collection::vec((0_usize..3, change()), 1..30), size in 1_usize..60) {
        let header = TransactionHeader { xid: 9, commit_time_us: -5 };
        let mut whole = TransactionEncoder::new(header);
        let mut drained = TransactionEncoder::new(header);
        let mut parts: HashMap<ChannelName, Vec<u8>> = HashMap::new();
        for (channel, change) in &planned {
            whole.push(&channels()[*channel], &with_relations(change));
            drained.push(&channels()[*channel], &with_relations(change));
            for run in drained.channels_mut() {
                let taken = run.drain(size);
                parts.entry(run.channel.clone()).or_default().extend(taken);
            }
        }
        let (whole, drained) = (whole.finish(), drained.finish());
        prop_assert_eq!(whole.digest, drained.digest);
        for (one, other) in whole.channels.iter().zip(&drained.channels) {
            prop_assert_eq!(one.digest(), other.digest());
            prop_assert_eq!(one.raw_len, other.raw_len);
            let mut run = parts.remove(&other.channel).unwrap_or_default();
            run.extend_from_slice(&other.bytes);
            prop_assert_eq!(&run, &one.bytes);
            let known = relations().into_iter().map(|r| (r.id(), r)).collect();
            prop_assert_eq!(stream_run(&run, &known), decode_run(&Bytes::from(run), &known));
        }
    }

    #[test]
    fn random_bytes_are_refused_quietly(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let _ = Slice::decode(bytes.clone());
        let _ = ObjectReader::decode(bytes.clone());
        let _ = Relation::decode(&bytes);
        let _ = wire::SliceHeader::decode(&bytes);
        for _ in Records::new(bytes.clone()) {}
        let mut entries = bytes.clone();
        let _ = TransactionDecoder::new().next(&mut entries, &HashMap::new());
        let _ = ChunkReader::new(bytes).unwrap().next_chunk();
    }
}

fn raw(payload: Bytes) -> Vec<u8> {
    let mut chunks = ChunkReader::new(payload).unwrap();
    let mut out = Vec::new();
    while let Some(chunk) = chunks.next_chunk().unwrap() {
        out.extend_from_slice(&chunk);
    }
    out
}

fn stream_run(
    run: &[u8],
    known: &HashMap<RelationId, Arc<Relation>>,
) -> Vec<(u64, Change<Arc<Relation>>)> {
    let (_, mut reader) = EntryReader::new(run, run.len() as u64).unwrap();
    let mut decoder = TransactionDecoder::new();
    let mut out = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        out.push(decoder.entry(&entry, known).unwrap());
    }
    out
}

fn object(history: &[Planned]) -> (Bytes, Hash) {
    let channel = channels()[1].clone();
    let mut records = RecordWriter::new(3).unwrap();
    for (at, planned) in history.iter().enumerate() {
        let (end, transaction) = encode(at, planned);
        for run in transaction.channels.iter().filter(|run| run.channel == channel) {
            for (id, relation) in &run.relations {
                records.relation(*id, relation).unwrap();
            }
            records.transaction(end, &run.bytes).unwrap();
        }
    }
    let (payload, raw_len) = records.finish().unwrap();
    let header = ObjectHeader {
        source: source(),
        lineage: lineage(),
        channel,
        route: String::new(),
        raw_len,
        kind: ObjectKind::Log {
            after: Lsn::new(10),
            through: Lsn::new(90_000),
            before: Hash::of(b"before"),
            after_hash: Hash::of(b"after"),
        },
    };
    ObjectWriter::assemble(&header, &payload).unwrap()
}

#[test]
fn a_lying_chunk_length_spends_no_memory() {
    // Claims 4 GiB from a frame of nothing; a right checksum over the lie.
    for claimed in [u32::MAX, 17 << 20] {
        let mut chunk = Vec::new();
        chunk.extend_from_slice(&claimed.to_be_bytes());
        chunk.extend_from_slice(&0_u32.to_be_bytes());
        let crc = crc32c::crc32c(&chunk);
        chunk.extend_from_slice(&crc.to_be_bytes());
        let error = ChunkReader::new(chunk.into()).unwrap().next_chunk().unwrap_err().to_string();
        assert!(error.contains("chunk raw length"), "{error}");
    }
}

#[test]
fn a_bomb_stops_at_what_it_claims() {
    // 64 MiB of zeros compress to a few KiB; the chunk claims 1 KiB.
    let frame = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let mut chunk = Vec::new();
    chunk.extend_from_slice(&1024_u32.to_be_bytes());
    chunk.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&chunk), &frame);
    chunk.extend_from_slice(&crc.to_be_bytes());
    chunk.extend_from_slice(&frame);
    assert!(ChunkReader::new(chunk.into()).unwrap().next_chunk().is_err());
}

#[test]
fn the_known_commit_does_not_depend_on_channels() {
    let planned: Planned = vec![
        (0, Change::Insert { relation: 2, new: vec![Value::Null] }),
        (1, Change::Insert { relation: 3, new: vec![Value::Null] }),
    ];
    let moved: Planned = planned.iter().map(|(_, change)| (2, change.clone())).collect();
    assert_eq!(encode(0, &planned).1.digest, encode(0, &moved).1.digest);
    assert_ne!(encode(0, &planned).1.digest, encode(1, &planned).1.digest);
}

/// The bytes of version 1, as they were when it was fixed. If this test fails, the format has
/// changed: give it a new version and keep reading this one.
#[test]
fn version_1_is_as_it_was() {
    let history: Vec<Planned> = vec![
        vec![
            (1, Change::Insert { relation: 1, new: vec![Value::Text(Bytes::from_static(b"a"))] }),
            (
                2,
                Change::Update {
                    relation: 2,
                    old: Some(OldRow::Key(vec![Value::Null])),
                    new: vec![Value::Unchanged, Value::Null],
                },
            ),
            (1, Change::Delete { relation: 1, old: OldRow::Full(vec![Value::Null]) }),
        ],
        vec![(
            0,
            Change::Message {
                prefix: "tailwater".into(),
                content: Bytes::from_static(b"{}"),
                transactional: true,
            },
        )],
    ];
    let mut uncompressed = String::new();
    for (at, planned) in history.iter().enumerate() {
        for run in encode(at, planned).1.channels {
            uncompressed += &format!("{} {}\n", run.channel, hex::encode(&run.bytes));
        }
    }
    let header = pack(&history, &[]).0[0].header().clone();
    let header = wire::SliceHeader {
        channels: header.channels.into_iter().map(|p| wire::Part { stored_len: 1, ..p }).collect(),
        ..header
    };
    insta::assert_snapshot!(format!("{uncompressed}{}\n", hex::encode(header.encode())));
}
