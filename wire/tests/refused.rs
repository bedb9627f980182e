//! What the decoders refuse, each by its name, with checksums that are right: nothing of it gets
//! further, and a length that lies costs no memory.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails; clippy's own exception ends at helper functions"
)]

use std::{collections::HashMap, io::Read};

use bytes::Bytes;
use wire::{
    Change, ChannelHashes, ChannelName, ChunkError, ChunkReader, ChunkWriter, DecodeError,
    EntryReader, Lineage, Lsn, MAX_CHUNK_RAW, MAX_HEADER_LEN, ObjectError, ObjectHeader,
    ObjectKind, ObjectReader, ObjectWriter, RecordWriter, Slice, SliceBuilder, SliceHeader,
    SourceName, TransactionDecoder, TransactionEncoder, TransactionHeader, check_chunks,
};

/// Bytes that magic, version and length take before a header, and the checksum behind it.
const FRONT: usize = 10;
const CHECKSUM: usize = 4;
const CHUNK_TARGET: usize = 256 << 10;

fn slice() -> Slice {
    let mut builder = SliceBuilder::new(
        SourceName::new("orders").unwrap(),
        Lineage::from_bytes([7; 16]),
        Lsn::new(10),
        ChannelHashes::default(),
        1,
    );
    for (at, channel) in ["a", "b"].into_iter().enumerate() {
        let mut encoder = TransactionEncoder::new(TransactionHeader { xid: 7, commit_time_us: 1 });
        encoder.push(&ChannelName::new(channel).unwrap(), &message("content"));
        let end = 100 + at as u64 * 100;
        builder.push(Lsn::new(end - 8), Lsn::new(end), &encoder.finish(), &[]).unwrap();
    }
    builder.finish(Lsn::new(200)).unwrap()
}

fn message<R>(content: &str) -> Change<R> {
    let content = Bytes::copy_from_slice(content.as_bytes());
    Change::Message { prefix: "p".into(), content, transactional: true }
}

/// The slice with other bytes before its header, under a checksum that is right.
fn refronted(slice: &Slice, change: impl FnOnce(&mut [u8])) -> Bytes {
    let mut bytes = slice.bytes().to_vec();
    let end = FRONT + slice.header().encode().len();
    change(&mut bytes[..FRONT]);
    let crc = crc32c::crc32c(&bytes[..end]);
    bytes[end..end + CHECKSUM].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

#[test]
fn other_beginnings_and_versions_are_told_from_damage() {
    let slice = slice();
    let foreign = Slice::decode(refronted(&slice, |front| front[3] = b'X')).unwrap_err();
    assert!(foreign.to_string().contains("a beginning that is not ours"), "{foreign}");
    let newer = Slice::decode(refronted(&slice, |front| front[5] = 2)).unwrap_err().to_string();
    assert!(newer.contains("format version 2") && newer.contains("update it"), "{newer}");
}

/// A store that keeps slices in pieces reads on as long as bytes are missing: this must not go on
/// for four gigabytes.
#[test]
fn a_header_above_four_mebibytes_is_not_waited_for() {
    let too_long = u32::try_from(MAX_HEADER_LEN + 1).unwrap().to_be_bytes();
    let front = [b"TWSL\x00\x01".as_slice(), &too_long].concat();
    let refused = Slice::header_of(&front).unwrap_err();
    assert!(matches!(refused, DecodeError::Invalid { .. }), "{refused}");
    let mut header = slice().header().clone();
    header.channel_map = Some(vec![b' '; MAX_HEADER_LEN]);
    assert!(Slice::assemble(header, &[]).is_err(), "it was written");
}

fn decoded(change: impl FnOnce(&mut SliceHeader)) -> Result<SliceHeader, DecodeError> {
    let mut header = slice().header().clone();
    change(&mut header);
    SliceHeader::decode(&header.encode())
}

#[test]
fn headers_that_cannot_be() {
    assert!(decoded(|_| {}).is_ok());
    assert!(decoded(|header| header.through = Lsn::new(9)).is_err(), "it ends before it begins");
    assert!(decoded(|header| header.channels.reverse()).is_err(), "channels out of order");
    let twice = decoded(|header| header.channels[1].channel = header.channels[0].channel.clone());
    assert!(twice.is_err(), "a channel twice");
    let huge = decoded(|header| {
        header.channels.iter_mut().for_each(|part| part.stored_len = u64::MAX / 2 + 1);
    });
    assert!(huge.is_err(), "lengths whose sum is no number");
    let mut longer = slice().header().encode();
    longer.push(0);
    assert!(SliceHeader::decode(&longer).is_err(), "bytes behind its end");
}

#[test]
fn what_a_payload_holds_is_what_its_header_says() {
    let slice = slice();
    let payloads: Vec<Bytes> = slice.parts().map(|(_, payload)| payload).collect();
    let payloads: Vec<&[u8]> = payloads.iter().map(AsRef::as_ref).collect();
    let mut header = slice.header().clone();
    assert!(Slice::assemble(header.clone(), &payloads).unwrap().check().is_ok());
    header.channels[1].raw_len += 1;
    let error = Slice::assemble(header, &payloads).unwrap().check().unwrap_err().to_string();
    assert!(error.contains("(0/A, 0/C8]") && error.contains("channel b"), "{error}");

    let kind = ObjectKind::Transaction { session: 1, xid: 1, part: 0 };
    let source = SourceName::new("orders").unwrap();
    let (lineage, route) = (Lineage::from_bytes([7; 16]), String::new());
    let (channel, raw_len) = (ChannelName::default_channel(), 8);
    let header = ObjectHeader { source, lineage, channel, route, raw_len, kind };
    let mut chunks = ChunkWriter::new(1).unwrap();
    chunks.stream(b"1234567").unwrap();
    let (bytes, _) = ObjectWriter::assemble(&header, &chunks.finish().unwrap().0).unwrap();
    let error = ObjectReader::decode(bytes).unwrap().check().unwrap_err();
    assert!(matches!(error, ObjectError::Decode(_)), "{error}");
}

#[test]
fn two_slices_are_not_one() {
    let slice = slice();
    let twice = [slice.bytes().as_ref(), slice.bytes()].concat();
    assert!(Slice::decode(twice.into()).is_err());
}

/// One chunk with these lengths, a right checksum over them and its frame.
fn chunk(raw_len: u32, frame: &[u8]) -> Bytes {
    let stored_len = u32::try_from(frame.len()).unwrap();
    let lengths = [raw_len.to_be_bytes(), stored_len.to_be_bytes()].concat();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&lengths), frame);
    [lengths.as_slice(), &crc.to_be_bytes(), frame].concat().into()
}

#[test]
fn a_chunk_that_holds_less_than_it_claims() {
    let frame = zstd::bulk::compress(&[7; 1024], 1).unwrap();
    let mut reader = ChunkReader::new(chunk(1024, &frame)).unwrap();
    assert_eq!(reader.next_chunk().unwrap().unwrap().len(), 1024);
    for claimed in [1023, 1025, 0] {
        let error = ChunkReader::new(chunk(claimed, &frame)).unwrap().next_chunk();
        assert!(error.is_err(), "{claimed} were claimed");
    }
}

/// Without decompressing anything, and without room for what it claims.
#[test]
fn a_chunk_that_claims_more_than_it_may_or_has() {
    let frame = zstd::bulk::compress(&[7; 1024], 1).unwrap();
    assert_eq!(check_chunks(&chunk(1024, &frame)), Ok(1024));
    let most = u32::try_from(MAX_CHUNK_RAW).unwrap();
    assert!(check_chunks(&chunk(most, &frame)).is_ok());
    assert!(check_chunks(&chunk(most + 1, &frame)).is_err());
    let bomb = zstd::bulk::compress(&vec![0; 8 << 20], 1).unwrap();
    let error = ChunkReader::new(chunk(1024, &bomb)).unwrap().next_chunk().unwrap_err();
    assert!(matches!(error, ChunkError::Zstd(_)), "it was unpacked, and found too long: {error}");
}

fn lengths(payload: Vec<u8>) -> Vec<usize> {
    let mut reader = ChunkReader::new(payload.into()).unwrap();
    std::iter::from_fn(|| reader.next_chunk().unwrap().map(|chunk| chunk.len())).collect()
}

/// Whoever reads a payload holds one chunk of it.
#[test]
fn chunks_stay_small_whatever_is_written() {
    let mut records = RecordWriter::new(1).unwrap();
    (0..100_000).for_each(|n| records.transaction(Lsn::new(n), &[7; 20]).unwrap());
    let found = lengths(records.finish().unwrap().0);
    assert!(found.len() > 10 && found.iter().all(|len| *len <= CHUNK_TARGET), "{found:?}");

    let mut chunks = ChunkWriter::new(1).unwrap();
    chunks.stream(&vec![7; 3 * CHUNK_TARGET + 1]).unwrap();
    let found = lengths(chunks.finish().unwrap().0);
    assert_eq!(found, [CHUNK_TARGET, CHUNK_TARGET, CHUNK_TARGET, 1]);

    let refused = chunks.record(&vec![7; MAX_CHUNK_RAW + 1]);
    assert!(matches!(refused, Err(ChunkError::Decode(_))), "what no reader would take");
}

/// A run's header and an entry's length, then little.
fn stream(claimed: u64) -> impl Read {
    let mut bytes = vec![0; TransactionHeader::LEN];
    let mut left = claimed;
    while left > 0x7F {
        bytes.push((left & 0x7F) as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    std::io::Cursor::new(bytes).chain(std::io::repeat(7).take(1000))
}

#[test]
fn an_entry_of_a_stream_is_read_as_it_comes_and_within_its_run() {
    // Of an exbibyte, in a run that claims as much: it ends where the bytes do.
    let claimed = 1 << 60;
    let (_, mut reader) = EntryReader::new(stream(claimed), u64::MAX).unwrap();
    let error = reader.next_entry().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
    let (_, mut reader) = EntryReader::new(stream(500), 100).unwrap();
    let error = reader.next_entry().unwrap_err().to_string();
    assert!(error.contains("500 bytes are needed"), "{error}");
}

#[test]
fn an_entry_with_bytes_behind_its_change() {
    let mut encoder = TransactionEncoder::new(TransactionHeader { xid: 7, commit_time_us: 1 });
    encoder.push(&ChannelName::default_channel(), &message("content"));
    let run = Bytes::from(encoder.finish().channels.remove(0).bytes);
    let (_, entries) = TransactionDecoder::header(&run).unwrap();
    let decode = |entry: Bytes| TransactionDecoder::new().entry(&entry, &HashMap::new());
    assert!(decode(entries.slice(1..)).is_ok());
    let longer = [&entries[1..], b"x"].concat();
    assert!(matches!(decode(longer.into()), Err(DecodeError::Trailing { .. })));
}
