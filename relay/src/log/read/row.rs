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
