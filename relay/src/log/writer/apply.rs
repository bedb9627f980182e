use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use wire::{Lsn, Slice, SliceHeader};

use super::{
    job::Append,
    thread::{Added, Group, Writer},
};
use crate::log::{
    catalog::Changes,
    closed::close_slice,
    error::StoreError,
    refusal::Refusal,
    standing::{Verdict, channel_map},
    tail::Item,
};

impl Writer {
    /// Judges an append and, where it follows, adds it; its answer waits for the sync.
    pub(super) fn apply(&mut self, append: Append, group: &mut Group) {
        match self.standing.judge(append.session, append.slice.header()) {
            Ok(Verdict::Repeat) => group.replies.push(append.reply),
            Ok(Verdict::Wait) => {
                let (wait, head) = (self.shared.settings.turn_wait, self.standing.head);
                self.turns.wait(append, wait, Instant::now(), head);
            }
            Ok(Verdict::Apply) => match self.add(&append.slice) {
                Ok(added) => {
                    group.slices.push(added);
                    group.replies.push(append.reply);
                }
                Err(refusal) => drop(append.reply.send(Err(refusal))),
            },
            Err(refusal) => drop(append.reply.send(Err(refusal))),
        }
    }

    /// Adds a slice that follows.
    fn add(&mut self, slice: &Slice) -> Result<Added, Refusal> {
        let map = channel_map(slice.header())?;
        self.check_parts(slice.header())?;
        self.wait_for_room()?;
        let replaced = self.standing.progress_after.filter(|_| slice.header().is_progress());
        let begin = replaced.unwrap_or(slice.header().after);
        let slice = slice.extended_back(begin).map_err(|error| {
            Refusal::Malformed(format!("the progress slice cannot be joined: {error}"))
        })?;
        let replaces = replaced.and(self.standing.head);
        let inline = match self.store(&slice, replaces) {
            Ok(inline) => inline,
            Err(error) => return Err(self.fail(error)),
        };
        self.standing.advance(slice.header(), map);
        Ok(if inline { Added::Slice(Arc::new(slice), replaces) } else { Added::Range })
    }

    /// Puts the slice, or the closed range that it becomes, into the tail; says whether it is
    /// there as a slice.
    fn store(&mut self, slice: &Slice, replaces: Option<Lsn>) -> Result<bool, StoreError> {
        if self.record.facts != self.record.session_facts {
            // The session has shown that it goes on with this log.
            let mut record = self.record.clone();
            record.facts = record.session_facts.clone();
            let mut changes = Changes::new();
            changes.source(&record)?;
            self.shared.catalog.write(changes)?;
            self.standing.facts = record.facts.clone();
            self.record = record;
        }
        let shared = &self.shared;
        let large = slice.bytes().len() as u64 > shared.settings.inline_bytes();
        let inline = !large && !slice.header().is_huge();
        if inline {
            shared.tail.append(Item::Slice(slice), replaces)?;
        } else {
            let range = close_slice(&shared.catalog, &*shared.objects, slice)?;
            shared.tail.append(Item::Range(&range), replaces)?;
        }
        Ok(inline)
    }

    /// The part objects that the slice names must be there.
    fn check_parts(&self, slice: &SliceHeader) -> Result<(), Refusal> {
        for object in slice.channels.iter().flat_map(|part| &part.parts) {
            if self.shared.objects.len(object.name)? != Some(object.len) {
                return Err(Refusal::Malformed(format!(
                    "the slice ({}, {}] names part object {} of {} bytes, which is not here: upload it first",
                    slice.after, slice.through, object.name, object.len
                )));
            }
        }
        Ok(())
    }

    /// Waits while the tail is full and the sealer at work: this is what slows capture down.
    fn wait_for_room(&self) -> Result<(), Refusal> {
        let deadline = Instant::now() + self.shared.settings.room_wait;
        while !self.shared.tail.has_room() {
            self.sealer.wake();
            if let Some(error) = self.shared.seal_error().clone() {
                return Err(Refusal::Store(error));
            }
            if Instant::now() > deadline {
                let why = "the tail is full and sealing does not keep up; try again";
                return Err(Refusal::Unavailable(why.into()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}
