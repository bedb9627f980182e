use wire::{HugeTransaction, SourceName};

use super::{
    closed::{Range, RangeChannel},
    cursor::{ChannelCursor, RunBody},
    error::{Malformed, RangeError},
    object_file::{ObjectFile, PartsReader},
    relations::Relations,
};
use crate::position::Position;

/// Proves a range against the own position: it leaves no gap, continues the own hashes, and its
/// transactions (parts of huge ones too) add up to what it claims. Gives the position at its end.
/// Reads everything once, in bounded memory.
pub fn verify(range: &Range, source: &SourceName, own: &Position) -> Result<Position, RangeError> {
    if range.source != *source || range.lineage != own.lineage {
        return Err(RangeError::Foreign {
            after: range.after,
            expected_source: source.clone(),
            expected: own.lineage,
            found_source: range.source.clone(),
            found: range.lineage,
        });
    }
    if range.after > own.lsn {
        return Err(RangeError::Gap {
            source_name: source.clone(),
            own: own.lsn,
            after: range.after,
            through: range.through,
        });
    }
    let mut end = own.clone();
    let mut relations = Relations::default();
    for channel in &range.channels {
        let mut cursor = ChannelCursor::new(range, channel, own)?;
        while let Some(run) = cursor.next(&mut relations)? {
            if let RunBody::Huge(huge) = &run.body {
                verify_parts(channel, &cursor, huge)?;
            }
        }
        if own.lsn <= range.through {
            end.hashes.set(channel.channel.clone(), channel.after);
        }
    }
    end.lsn = end.lsn.max(range.through);
    Ok(end)
}

fn verify_parts(
    channel: &RangeChannel,
    cursor: &ChannelCursor,
    huge: &HugeTransaction,
) -> Result<(), RangeError> {
    let parts = parts_of(channel, huge).map_err(|error| cursor.malformed(error))?;
    let mut reader = PartsReader::new(parts);
    let mut hasher = blake3::Hasher::new();
    let mut len = 0_u64;
    while let Some(piece) = reader.next_piece().map_err(|error| cursor.malformed(error))? {
        hasher.update(&piece);
        len += piece.len() as u64;
    }
    let computed = hasher.finalize().into();
    if computed == huge.digest && len == huge.raw_len {
        return Ok(());
    }
    Err(RangeError::Parts {
        place: cursor.place().clone(),
        at: huge.lsn,
        computed,
        claimed: huge.digest,
    })
}

/// The spooled files of a huge transaction's parts, in order.
pub(super) fn parts_of(
    channel: &RangeChannel,
    huge: &HugeTransaction,
) -> Result<Vec<ObjectFile>, Malformed> {
    huge.parts
        .iter()
        .map(|name| {
            let part = channel.parts.iter().find(|part| part.name() == *name);
            part.cloned().ok_or(Malformed::NoPart { lsn: huge.lsn, part: *name })
        })
        .collect()
}
