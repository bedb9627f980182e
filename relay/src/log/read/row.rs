//! A row of slices under selection: what a terminal gets inline.

use std::sync::Arc;

use wire::{Lsn, Slice, SliceHeader};

use super::channels::Channels;

/// More slices than this are not put into one answer: the selection itself takes memory.
const MOST_SLICES: usize = 1024;
/// Nor are more than this looked at.
const MOST_HEADERS: usize = 16 << 10;

/// Where a slice of the answer is read from.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Memory.
    Ring(Arc<Slice>),
    /// The tail: the slice that begins at this position.
    Tail(Lsn),
    /// Nowhere: a progress slice up to this position, which is made.
    Progress(Lsn),
}

/// One slice of the answer.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    /// Where it begins in the answer: at or before where it begins in the log.
    pub(super) after: Lsn,
    pub(super) place: Place,
}

/// Whether selection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    More,
    Enough,
}

/// What was selected so far.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) selected: Vec<Selected>,
    /// Where the first slice begins.
    begin: Option<Lsn>,
    /// The end of the last slice looked at and taken in.
    pub(super) through: Lsn,
    /// The end of the last slice selected.
    covered: Lsn,
    raw_len: u64,
    headers: usize,
}

impl Row {
    /// Nothing yet, from `position` on.
    pub(super) fn new(position: Lsn) -> Self {
        Self {
            selected: Vec::new(),
            begin: None,
            through: position,
            covered: position,
            raw_len: 0,
            headers: 0,
        }
    }

    /// Whether the row holds anything, if only progress.
    pub(super) fn is_empty(&self) -> bool {
        self.begin.is_none()
    }

    /// Takes the next slice in; one that touches none of the channels is folded into the next.
    /// Without a place it is a closed range, which can only be folded.
    pub(super) fn offer(
        &mut self,
        header: &SliceHeader,
        channels: &Channels,
        limit_bytes: u64,
        place: Option<Place>,
    ) -> Next {
        let kept = header.channels.iter().filter(|part| channels.keep(&part.channel));
        let raw_len = kept.clone().fold(0_u64, |sum, part| sum.saturating_add(part.raw_len));
        let touches = kept.count() > 0;
        if touches && place.is_none() {
            return Next::Enough;
        }
        let total = self.raw_len.saturating_add(raw_len);
        if touches && !self.selected.is_empty() && total > limit_bytes {
            return Next::Enough;
        }
        if self.begin.is_none() {
            self.begin = Some(header.after);
            self.covered = header.after;
        }
        self.headers += 1;
        self.through = header.through;
        if let Some(place) = place.filter(|_| touches) {
            self.selected.push(Selected { after: self.covered, place });
            self.covered = header.through;
            self.raw_len = total;
        }
        let full = self.selected.len() >= MOST_SLICES
            || self.headers >= MOST_HEADERS
            || total >= limit_bytes && touches;
        if full { Next::Enough } else { Next::More }
    }

    /// Takes in that nothing lies between here and `through`.
    pub(super) fn progress(&mut self, after: Lsn, through: Lsn) {
        if self.begin.is_none() {
            self.begin = Some(after);
            self.covered = after;
        }
        self.through = through;
    }

    /// Drops what was selected from `position` on.
    pub(super) fn cut(&mut self, position: Lsn) {
        self.selected.retain(|selected| selected.after < position);
        self.through = position;
        self.covered = self.covered.min(position);
    }

    /// Ends the row: what is folded at its end becomes a progress slice. Says whether it holds
    /// anything else.
    pub(super) fn finish(&mut self) -> bool {
        let has_changes = !self.selected.is_empty();
        if self.covered < self.through {
            let place = Place::Progress(self.through);
            self.selected.push(Selected { after: self.covered, place });
        }
        has_changes
    }
}

#[cfg(test)]
mod tests {
    use wire::{ChannelName, Hash, Lineage, Part, SourceName};

    use super::*;

    /// A slice of one byte of WAL that holds so many bytes for channel `a`, or nothing.
    fn header(after: u64, raw_len: Option<u64>) -> SliceHeader {
        let part = |raw_len| Part {
            channel: ChannelName::new("a").unwrap(),
            route: String::new(),
            before: Hash::of(b""),
            after: Hash::of(b""),
            transactions: 1,
            changes: 1,
            raw_len,
            stored_len: 0,
            parts: Vec::new(),
        };
        SliceHeader {
            source: SourceName::new("orders").unwrap(),
            lineage: Lineage::from_bytes([1; 16]),
            after: Lsn::new(after),
            through: Lsn::new(after + 1),
            commit: None,
            transactions: 1,
            changes: 1,
            first_commit_us: 0,
            channel_map: None,
            channels: raw_len.map(part).into_iter().collect(),
        }
    }

    /// Offers such slices until it is enough; how many were looked at, and how many selected.
    fn filled(raw_len: Option<u64>, limit_bytes: u64) -> (u64, usize) {
        let mut row = Row::new(Lsn::new(0));
        for at in 0..2 * MOST_HEADERS as u64 {
            let place = Some(Place::Tail(Lsn::new(at)));
            let next = row.offer(&header(at, raw_len), &Channels::All, limit_bytes, place);
            if next == Next::Enough {
                break;
            }
        }
        (row.through.get(), row.selected.len())
    }

    #[test]
    fn an_answer_is_bounded_in_bytes_in_slices_and_in_what_is_looked_at() {
        assert_eq!(filled(Some(300), 1000), (3, 3), "what is beyond the limit is not taken in");
        assert_eq!(filled(Some(5000), 1000), (1, 1), "at least one slice comes");
        assert_eq!(filled(Some(500), 1000), (2, 2));
        assert_eq!(filled(Some(0), 1000), (MOST_SLICES as u64, MOST_SLICES));
        assert_eq!(filled(None, 1000), (MOST_HEADERS as u64, 0));
    }
}
