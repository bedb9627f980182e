//! The newest slices in memory, so that terminals that keep up touch no disk.

use std::{collections::VecDeque, sync::Arc};

use wire::{Lsn, Slice};

/// What a slice costs beside its bytes: header and channels, read.
const SLICE_BYTES: usize = 1024;

/// Contiguous slices up to the head, the oldest dropped when they take more than the bound.
#[derive(Debug)]
pub(super) struct Ring {
    slices: VecDeque<Arc<Slice>>,
    bytes: usize,
    max_bytes: usize,
}

fn cost(slice: &Slice) -> usize {
    slice.bytes().len() + SLICE_BYTES
}

impl Ring {
    /// Holds at most `max_bytes`.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { slices: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Adds the newest slice. `replaces` is the end of a progress slice whose place it takes.
    pub(super) fn push(&mut self, slice: Arc<Slice>, replaces: Option<Lsn>) {
        if let Some(newest) = self.slices.back() {
            let through = newest.header().through;
            if replaces == Some(through) {
                self.bytes -= cost(newest);
                self.slices.pop_back();
            } else if through != slice.header().after {
                self.clear();
            }
        }
        self.bytes += cost(&slice);
        self.slices.push_back(slice);
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.slices.pop_front() else { break };
            self.bytes -= cost(&oldest);
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.slices.clear();
        self.bytes = 0;
    }

    /// The slice that holds what comes right after `position`, and those behind it.
    pub(super) fn from(&self, position: Lsn) -> impl Iterator<Item = &Arc<Slice>> {
        let at = self.slices.partition_point(|slice| slice.header().through <= position);
        let covered = self.slices.get(at).is_some_and(|slice| slice.header().after <= position);
        self.slices.range(if covered { at } else { self.slices.len() }..)
    }
}

#[cfg(test)]
mod tests {
    use wire::{Lineage, SourceName};

    use super::*;

    fn slice(after: u64, through: u64) -> Arc<Slice> {
        let source = SourceName::new("orders").unwrap();
        let lineage = Lineage::from_bytes([1; 16]);
        Arc::new(Slice::progress(source, lineage, Lsn::new(after), Lsn::new(through)).unwrap())
    }

    fn ends(ring: &Ring, position: u64) -> Vec<u64> {
        ring.from(Lsn::new(position)).map(|slice| slice.header().through.get()).collect()
    }

    #[test]
    fn finds_the_slice_that_holds_a_position() {
        let mut ring = Ring::new(1 << 20);
        for at in 1..5 {
            ring.push(slice(at * 10, at * 10 + 10), None);
        }
        assert_eq!(ends(&ring, 10), [20, 30, 40, 50]);
        assert_eq!(ends(&ring, 19), [20, 30, 40, 50]);
        assert_eq!(ends(&ring, 20), [30, 40, 50]);
        assert!(ends(&ring, 9).is_empty());
        assert!(ends(&ring, 50).is_empty());
        ring.push(slice(40, 60), Some(Lsn::new(50)));
        assert_eq!(ends(&ring, 45), [60]);
    }

    #[test]
    fn is_bounded() {
        let one = cost(&slice(0, 1));
        let mut ring = Ring::new(3 * one);
        for at in 0..100 {
            ring.push(slice(at, at + 1), None);
        }
        assert_eq!(ends(&ring, 97), [98, 99, 100]);
        assert!(ends(&ring, 96).is_empty());
    }
}
