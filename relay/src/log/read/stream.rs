//! Writes selected slices out, a piece at a time: a reader that stalls holds one piece.

use std::{collections::VecDeque, sync::Arc, vec};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use wire::{Lineage, Lsn, Slice, SliceHeader, SourceName};

use super::{
    channels::Channels,
    row::{Place, Row, Selected},
};
use crate::log::{error::StoreError, shared::Shared, standing::Standing, tail::StoredHeader};

/// Bytes read at a time: what a reader that stalls holds, about twice.
const PIECE: usize = 32 << 10;

/// Reads the slices of one answer, filtered, as a row of bytes.
#[derive(Debug)]
pub(crate) struct SliceReader {
    shared: Arc<Shared>,
    channels: Channels,
    source: SourceName,
    lineage: Lineage,
    selected: vec::IntoIter<Selected>,
    /// Bytes in memory, ready to go.
    ready: VecDeque<Bytes>,
    /// What is left to be read of a slice in the tail.
    open: Option<Open>,
    /// Held as long as slices of the ring are.
    _pins: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Open {
    through: Lsn,
    /// Offsets and lengths.
    ranges: VecDeque<(u64, u64)>,
}

impl SliceReader {
    pub(super) fn new(
        shared: Arc<Shared>,
        channels: Channels,
        standing: &Standing,
        row: Row,
    ) -> Self {
        let mut selected = row.selected;
        let pins = pin(&shared, &mut selected);
        Self {
            shared,
            channels,
            source: standing.source.clone(),
            lineage: standing.lineage,
            selected: selected.into_iter(),
            ready: VecDeque::new(),
            open: None,
            _pins: pins,
        }
    }

    /// The next bytes; none at the end. May read from the disk.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some(bytes));
            }
            if let Some(bytes) = self.read_open()? {
                return Ok(Some(bytes));
            }
            let Some(selected) = self.selected.next() else { return Ok(None) };
            self.begin(selected)?;
        }
    }

    /// Whether the next piece is in memory.
    pub(crate) fn is_ready(&self) -> bool {
        let next = self.selected.as_slice().first();
        !self.ready.is_empty()
            || self.open.is_none() && !matches!(next, Some(Selected { place: Place::Tail(_), .. }))
    }

    fn begin(&mut self, selected: Selected) -> Result<(), StoreError> {
        let after = selected.after;
        match selected.place {
            Place::Progress(through) => {
                let slice = Slice::progress(self.source.clone(), self.lineage, after, through);
                self.ready.push_back(slice.map_err(|e| unwritable(after, e))?.bytes().clone());
            }
            Place::Ring(slice) => {
                self.push_header(slice.header(), after)?;
                let kept = slice.parts().filter(|(part, _)| self.channels.keep(&part.channel));
                let payloads: Vec<Bytes> = kept.map(|(_, payload)| payload).collect();
                self.ready.extend(payloads);
            }
            Place::Tail(position) => {
                let stored = self.shared.tail.header(position)?;
                let stored = stored.filter(|stored| stored.header.after == position);
                let stored = stored.ok_or(StoreError::Moved { after: position })?;
                self.push_header(&stored.header, after)?;
                self.open =
                    Some(Open { through: stored.header.through, ranges: self.ranges(&stored) });
            }
        }
        Ok(())
    }

    /// The header with the reader's channels only, beginning at `after`.
    fn push_header(&mut self, header: &SliceHeader, after: Lsn) -> Result<(), StoreError> {
        let kept = header.channels.iter().filter(|part| self.channels.keep(&part.channel));
        let filtered = SliceHeader {
            source: header.source.clone(),
            lineage: header.lineage,
            after,
            through: header.through,
            commit: header.commit,
            transactions: header.transactions,
            changes: header.changes,
            first_commit_us: header.first_commit_us,
            channel_map: header.channel_map.clone(),
            channels: kept.cloned().collect(),
        };
        // A slice without its payloads: they follow piece by piece.
        let front = Slice::assemble(filtered, &[]).map_err(|error| unwritable(after, error))?;
        self.ready.push_back(front.bytes().clone());
        Ok(())
    }

    fn ranges(&self, stored: &StoredHeader) -> VecDeque<(u64, u64)> {
        let mut at = stored.payload_at;
        let mut ranges = VecDeque::new();
        for part in &stored.header.channels {
            if self.channels.keep(&part.channel) && part.stored_len > 0 {
                ranges.push_back((at, part.stored_len));
            }
            at = at.saturating_add(part.stored_len);
        }
        ranges
    }

    fn read_open(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let Some((offset, left)) = open.ranges.front_mut() else {
            self.open = None;
            return Ok(None);
        };
        let max = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
        let piece = self.shared.tail.piece(open.through, *offset, max)?;
        *offset += piece.len() as u64;
        *left = left.saturating_sub(piece.len() as u64);
        if *left == 0 {
            open.ranges.pop_front();
        }
        // Without the rest of the engine's value, of which it is a part.
        Ok(Some(Bytes::copy_from_slice(&piece)))
    }
}

fn unwritable(after: Lsn, error: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("slice", Some(after), error)
}

/// Slices of the ring may be held on to only within a bound for all answers; beyond it they are
/// read from the tail.
fn pin(shared: &Shared, selected: &mut [Selected]) -> Option<OwnedSemaphorePermit> {
    let held = selected.iter().filter_map(|selected| match &selected.place {
        Place::Ring(slice) => Some(slice.bytes().len()),
        _ => None,
    });
    let kib = u32::try_from(held.sum::<usize>() >> 10).unwrap_or(u32::MAX).saturating_add(1);
    let permit = shared.pins.clone().try_acquire_many_owned(kib).ok();
    if permit.is_none() {
        for selected in selected {
            if let Place::Ring(slice) = &selected.place {
                selected.place = Place::Tail(slice.header().after);
            }
        }
    }
    permit
}
