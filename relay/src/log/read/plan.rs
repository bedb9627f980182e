//! What a pull is answered with. Only headers are read here; payloads are read as the answer is
//! written out.

use std::sync::Arc;

use wire::{ChannelName, Hash, Lsn, SliceHeader};

use super::{
    channels::Channels,
    error::ReadError,
    row::{Next, Place, Row},
    stream::SliceReader,
};
use crate::log::{
    error::StoreError, range::ClosedRange, recover::verify, shared::Shared, standing::Standing,
    tail::StoredHeader,
};

/// Ranges in one manifest.
const MOST_RANGES: usize = 64;
/// Bytes of objects in one manifest.
const MOST_OBJECT_BYTES: u64 = 256 << 20;

/// What a terminal asks for.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    /// Where it stands.
    pub after: Lsn,
    /// What it gets.
    pub channels: Channels,
    /// Bytes uncompressed; at least one slice comes.
    pub limit_bytes: u64,
    /// Its running hashes.
    pub hashes: Vec<(ChannelName, Hash)>,
}

/// What it gets.
#[derive(Debug)]
pub(crate) enum Planned {
    /// Slices, filtered, up to `through`.
    Slices {
        /// The position they reach.
        through: Lsn,
        /// Whether there is more than a progress slice.
        has_changes: bool,
        /// Reads them.
        reader: SliceReader,
    },
    /// Closed ranges, up to `through`.
    Ranges {
        /// The position they reach.
        through: Lsn,
        /// The ranges, with all channels.
        ranges: Vec<ClosedRange>,
    },
    /// The terminal is at the head.
    Nothing,
}

/// Plans the answer to a pull.
pub(in crate::log) fn plan(shared: &Arc<Shared>, pull: &Pull) -> Result<Planned, ReadError> {
    if let Some(planned) = plan_in_memory(shared, pull)? {
        return Ok(planned);
    }
    let standing = shared.standing.borrow().clone();
    let head = check_position(&standing, pull.after)?;
    let mut row = Row::new(pull.after);
    from_tail(shared, pull, head, &mut row)?;
    if !row.is_empty() {
        return Ok(slices(shared, pull, &standing, row));
    }
    let ranges = closed_ranges(shared, pull, head)?;
    match ranges.last() {
        Some(last) => Ok(Planned::Ranges { through: last.header.through, ranges }),
        None => {
            let detail = "no slice and no closed range holds what follows";
            Err(StoreError::corrupt("gap in the log", Some(pull.after), detail).into())
        }
    }
}

/// Plans the answer from the ring; none where it does not reach back that far.
pub(in crate::log) fn plan_in_memory(
    shared: &Arc<Shared>,
    pull: &Pull,
) -> Result<Option<Planned>, ReadError> {
    let standing = shared.standing.borrow().clone();
    let head = check_position(&standing, pull.after)?;
    if pull.after == head {
        return Ok(Some(Planned::Nothing));
    }
    let mut row = Row::new(pull.after);
    from_ring(shared, pull, head, &mut row)?;
    Ok((!row.is_empty()).then(|| slices(shared, pull, &standing, row)))
}

fn slices(shared: &Arc<Shared>, pull: &Pull, standing: &Standing, mut row: Row) -> Planned {
    let has_changes = row.finish();
    let through = row.through;
    let reader = SliceReader::new(shared.clone(), pull.channels.clone(), standing, row);
    Planned::Slices { through, has_changes, reader }
}

pub(super) fn check_position(standing: &Standing, after: Lsn) -> Result<Lsn, ReadError> {
    if let Some(by) = &standing.succeeded {
        let (ours, theirs, why) = (by.0, standing.lineage, by.1.clone());
        return Err(ReadError::Succeeded { ours, theirs, why });
    }
    let head = standing.head.ok_or(ReadError::NotBegun)?;
    if let Some(damage) = standing.damage.as_ref().filter(|damage| after >= damage.lsn) {
        return Err(ReadError::Damaged(damage.clone()));
    }
    if after > head {
        return Err(ReadError::BehindYou { after, head });
    }
    match standing.horizon.filter(|horizon| after < *horizon) {
        Some(horizon) => Err(ReadError::Expired { after, horizon }),
        None => Ok(head),
    }
}

/// The terminal's hashes must be the log's where the slice begins just where it stands.
pub(super) fn check_history(pull: &Pull, header: &SliceHeader) -> Result<(), ReadError> {
    if header.after != pull.after {
        return Ok(());
    }
    for (channel, hash) in &pull.hashes {
        let ours = header.channels.iter().find(|part| part.channel == *channel);
        if ours.is_some_and(|part| part.before != *hash) {
            return Err(ReadError::OtherHistory { channel: channel.clone(), lsn: pull.after });
        }
    }
    Ok(())
}

fn from_ring(shared: &Shared, pull: &Pull, head: Lsn, row: &mut Row) -> Result<(), ReadError> {
    let ring = shared.ring();
    for slice in ring.from(pull.after) {
        let header = slice.header();
        if header.through > head {
            break;
        }
        check_history(pull, header)?;
        let place = Some(Place::Ring(slice.clone()));
        if row.offer(header, &pull.channels, pull.limit_bytes, place) == Next::Enough {
            break;
        }
    }
    Ok(())
}

/// Reads of a slice's pieces come before the answer's first byte, so that damage is an answer
/// that names the position, not a connection that breaks off.
fn from_tail(shared: &Shared, pull: &Pull, head: Lsn, row: &mut Row) -> Result<(), ReadError> {
    let mut position = pull.after;
    while position < head {
        let Some(stored) = shared.tail.header(position).map_err(|error| error.at(position))? else {
            break;
        };
        let header = &stored.header;
        if header.after > position {
            break;
        }
        if header.through > head {
            // Not durable yet; a progress slice has taken the place of one that is.
            if header.is_progress() {
                row.progress(header.after, head);
            }
            break;
        }
        check_history(pull, header)?;
        let is_slice = stored.objects.is_none();
        let place = is_slice.then_some(Place::Tail(header.after));
        let before = row.through;
        let next = row.offer(header, &pull.channels, pull.limit_bytes, place);
        if row.through == before {
            break;
        }
        if let Err(error) = verify(&*shared.tail, &stored) {
            if row.selected.len() < 2 {
                return Err(error.at(header.after).into());
            }
            row.cut(header.after);
            break;
        }
        if next == Next::Enough {
            break;
        }
        position = header.through;
    }
    Ok(())
}

/// Closed ranges from the position on: sealed ones, and those that the tail holds.
fn closed_ranges(shared: &Shared, pull: &Pull, head: Lsn) -> Result<Vec<ClosedRange>, ReadError> {
    let mut ranges: Vec<ClosedRange> = Vec::new();
    let mut position = pull.after;
    let mut bytes = 0_u64;
    while position < head && ranges.len() < MOST_RANGES {
        let found = match shared.catalog.range(position).map_err(|error| error.at(position))? {
            Some(range) => Some(range),
            None => range_in_tail(shared, position, head)?,
        };
        let Some(range) = found else { break };
        check_history(pull, &range.header)?;
        bytes = bytes.saturating_add(object_bytes(&range, &pull.channels));
        if bytes > MOST_OBJECT_BYTES && !ranges.is_empty() {
            break;
        }
        position = range.header.through;
        ranges.push(range);
    }
    Ok(ranges)
}

fn range_in_tail(
    shared: &Shared,
    position: Lsn,
    head: Lsn,
) -> Result<Option<ClosedRange>, ReadError> {
    let stored = shared.tail.header(position).map_err(|error| error.at(position))?;
    let range = stored.and_then(StoredHeader::into_range);
    Ok(range.filter(|range| range.header.after <= position && range.header.through <= head))
}

pub(super) fn object_bytes(range: &ClosedRange, channels: &Channels) -> u64 {
    let kept = range.header.channels.iter().zip(&range.objects);
    kept.filter(|(part, _)| channels.keep(&part.channel))
        .map(|(part, object)| object.len + part.parts.iter().map(|part| part.len).sum::<u64>())
        .fold(0, u64::saturating_add)
}
