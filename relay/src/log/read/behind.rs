//! What lies between a position and the head, counted from headers.

use wire::SliceHeader;

use super::{
    channels::Channels,
    error::ReadError,
    plan::{Pull, check_history, check_position, object_bytes},
};
use crate::log::{error::StoreError, range::ClosedRange, shared::Shared};

/// Headers read for one answer.
const MOST_HEADERS: usize = 16 << 10;

/// What a reader lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lacking {
    /// Transactions that touch its channels, at least.
    pub least: u64,
    /// And at most.
    pub most: u64,
    /// Bytes to fetch, compressed.
    pub fetch_bytes: u64,
    /// Whether more follows that was not counted.
    pub has_more: bool,
}

/// Counts what lies behind the position of a pull, which is checked as that is.
pub(in crate::log) fn lacking(shared: &Shared, pull: &Pull) -> Result<Lacking, ReadError> {
    let standing = shared.standing.borrow().clone();
    let head = check_position(&standing, pull.after)?;
    let (mut position, mut lacking) = (pull.after, Lacking::default());
    for _ in 0..MOST_HEADERS {
        if position >= head {
            return Ok(lacking);
        }
        let in_ring = shared.ring().from(position).next().map(|slice| slice.header().clone());
        let (header, range) = match in_ring {
            Some(header) => (header, None),
            None => match stored(shared, pull, position)? {
                Some(found) => found,
                None => break,
            },
        };
        if header.through > head || header.through <= position {
            // A progress slice that is not durable yet holds nothing.
            lacking.has_more = !header.is_progress();
            return Ok(lacking);
        }
        check_history(pull, &header)?;
        lacking.add(&header, range.as_ref(), pull);
        position = header.through;
    }
    Ok(Lacking { has_more: true, ..lacking })
}

type Found = (SliceHeader, Option<ClosedRange>);

/// Of the tail, else of the closed ranges.
fn stored(shared: &Shared, pull: &Pull, position: wire::Lsn) -> Result<Option<Found>, StoreError> {
    let tail = shared.tail.header(position).map_err(|error| error.at(pull.after))?;
    let range = match tail.filter(|stored| stored.header.after <= position) {
        Some(stored) if stored.objects.is_none() => return Ok(Some((stored.header, None))),
        Some(stored) => stored.into_range(),
        None => shared.catalog.range(position).map_err(|error| error.at(position))?,
    };
    Ok(range.map(|range| (range.header.clone(), Some(range))))
}

impl Lacking {
    fn add(&mut self, header: &SliceHeader, range: Option<&ClosedRange>, pull: &Pull) {
        let kept = || header.channels.iter().filter(|part| pull.channels.keep(&part.channel));
        // Of a transaction that touches several channels each tells.
        let (least, most) = match &pull.channels {
            Channels::All => (header.transactions, header.transactions),
            Channels::Only(_) => (
                kept().map(|part| part.transactions).max().unwrap_or(0),
                kept().map(|part| part.transactions).sum::<u64>().min(header.transactions),
            ),
        };
        // What it has of the first one is not told apart.
        let whole = header.after >= pull.after;
        self.least += if whole { least } else { 0 };
        self.most += most;
        self.fetch_bytes += match range {
            Some(range) => object_bytes(range, &pull.channels),
            None => kept().map(|part| part.stored_len).sum(),
        };
    }
}
