//! One channel's payloads of many slices become one payload: decompressed, joined, compressed
//! better. Changes are not decoded.

use bytes::{Bytes, BytesMut};
use wire::{ChannelName, ChunkError, ChunkReader, Lsn, RecordWriter, Records};

use crate::log::{error::StoreError, tail::Tail};

/// The channel's payload of each slice, in order, joined: stored bytes and uncompressed length.
///
/// Where a payload cannot be unpacked, though its checksums are right, all are joined by copying:
/// whoever reads them will name the damage, and the log goes on.
pub(super) fn pack(
    tail: &dyn Tail,
    channel: &ChannelName,
    slices: &[Lsn],
    level: i32,
) -> Result<(Vec<u8>, u64), StoreError> {
    let engine =
        |error: ChunkError| StoreError::Engine { path: "zstd".into(), detail: error.to_string() };
    let mut writer = RecordWriter::new(level).map_err(engine)?;
    for after in slices {
        let (payload, _) = payload(tail, channel, *after)?;
        if let Err(error) = repack(payload, &mut writer) {
            tracing::warn!(%channel, %after, %error, "a payload cannot be unpacked; it is kept as it is");
            return copy(tail, channel, slices);
        }
    }
    writer.finish().map_err(engine)
}

fn repack(payload: Bytes, writer: &mut RecordWriter) -> Result<(), ChunkError> {
    let mut chunks = ChunkReader::new(payload)?;
    while let Some(chunk) = chunks.next_chunk()? {
        for record in Records::new(chunk) {
            writer.record(&record?)?;
        }
    }
    Ok(())
}

fn copy(
    tail: &dyn Tail,
    channel: &ChannelName,
    slices: &[Lsn],
) -> Result<(Vec<u8>, u64), StoreError> {
    let mut joined = Vec::new();
    let mut raw_len = 0;
    for after in slices {
        let (payload, raw) = payload(tail, channel, *after)?;
        joined.extend_from_slice(&payload);
        raw_len += raw;
    }
    Ok((joined, raw_len))
}

/// One channel's payload of the slice that begins at `after`, and its uncompressed length.
fn payload(tail: &dyn Tail, channel: &ChannelName, after: Lsn) -> Result<(Bytes, u64), StoreError> {
    let missing = || StoreError::corrupt("slice", Some(after), "it is not in the tail");
    let stored = tail.header(after)?.ok_or_else(missing)?;
    let mut at = stored.payload_at;
    for part in &stored.header.channels {
        if part.channel != *channel {
            at = at.saturating_add(part.stored_len);
            continue;
        }
        let len = usize::try_from(part.stored_len).unwrap_or(usize::MAX);
        let mut payload = BytesMut::new();
        while payload.len() < len {
            let offset = at + payload.len() as u64;
            let left = len - payload.len();
            payload.extend_from_slice(&tail.piece(stored.header.through, offset, left)?);
        }
        return Ok((payload.freeze(), part.raw_len));
    }
    Err(missing())
}
