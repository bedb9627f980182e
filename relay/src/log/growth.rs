//! How much of the log lies behind the newest snapshot: what a new terminal has to fetch beside it.

use wire::{Lsn, Snapshot};

use super::{error::StoreError, range::ClosedRange, shared::Shared};

/// Bytes as they are kept, compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Growth {
    /// The newest snapshot.
    pub snapshot: u64,
    /// The log behind it.
    pub log: u64,
}

/// Counts from where it counted to last.
#[derive(Debug, Default)]
pub(super) struct Meter {
    since: Lsn,
    counted: Lsn,
    growth: Option<Growth>,
}

impl Meter {
    /// None where no snapshot can be taken by terminals, or a newer one waits for the log to pass it. Blocks.
    pub(super) fn read(&mut self, shared: &Shared) -> Result<Option<Growth>, StoreError> {
        let standing = shared.standing.borrow().clone();
        let newest = shared.catalog.snapshot_positions()?.pop();
        let (Some(head), Some(newest), None) = (standing.head, newest, &standing.damage) else {
            return Ok(None);
        };
        if newest > head {
            return Ok(None);
        }
        if self.since != newest || self.growth.is_none() {
            let Some(snapshot) = shared.catalog.snapshot(newest)? else { return Ok(None) };
            let growth = Some(Growth { snapshot: bytes_of(&snapshot), log: 0 });
            *self = Self { since: newest, counted: newest, growth };
        }
        while self.counted < head {
            let Some((through, bytes)) = behind(shared, self.counted)? else { break };
            self.counted = through;
            if let Some(growth) = &mut self.growth {
                growth.log = growth.log.saturating_add(bytes);
            }
        }
        Ok(self.growth)
    }
}

fn bytes_of(snapshot: &Snapshot) -> u64 {
    let objects = snapshot.tables.iter().flat_map(|table| &table.objects);
    objects.map(|object| object.len).sum()
}

/// The end of what comes right after `position`, and its bytes.
fn behind(shared: &Shared, position: Lsn) -> Result<Option<(Lsn, u64)>, StoreError> {
    if let Some(range) = shared.catalog.range(position)? {
        return Ok(Some(closed(&range, position)));
    }
    let Some(stored) = shared.tail.header(position)? else { return Ok(None) };
    // It may have been sealed between the two looks.
    if stored.header.after > position
        && let Some(range) = shared.catalog.range(position)?
    {
        return Ok(Some(closed(&range, position)));
    }
    let (through, len, parts) = (stored.header.through, stored.len, parts(&stored.header));
    let objects: u64 = stored.objects.iter().flatten().map(|object| object.len).sum();
    Ok(Some((through, len + objects + parts)))
}

/// Of a range that begins before `position`, the slices up to there were counted before they were sealed:
/// none of it is counted, rather than those twice.
fn closed(range: &ClosedRange, position: Lsn) -> (Lsn, u64) {
    if range.header.after < position {
        return (range.header.through, 0);
    }
    let objects: u64 = range.objects.iter().map(|object| object.len).sum();
    (range.header.through, objects + parts(&range.header))
}

/// Of huge transactions.
fn parts(header: &wire::SliceHeader) -> u64 {
    header.channels.iter().flat_map(|part| &part.parts).map(|object| object.len).sum()
}
