use std::sync::Arc;

use bytes::Bytes;
use wire::{
    Change, ChannelName, Entry, EntryReader, Lsn, Relation, TransactionDecoder, TransactionHeader,
};

use super::{
    closed::{Range, RangeChannel},
    cursor::{ChannelCursor, Run, RunBody},
    error::{Malformed, RangeError},
    object_file::PartsReader,
    relations::Relations,
    schema_changes::{Alters, Lacking},
    verify::parts_of,
};
use crate::position::Position;

/// What comes out of a range, in the order of commits.
#[derive(Debug)]
pub enum Event {
    /// A transaction begins.
    Begin {
        /// Its commit's end.
        lsn: Lsn,
        /// Xid and commit time.
        header: TransactionHeader,
        /// The schema changes among its changes, which come in their place.
        alters: Alters,
    },
    /// A change of it, in the original order over all channels.
    Change {
        /// The channel.
        channel: ChannelName,
        /// The change.
        change: Change<Arc<Relation>>,
    },
    /// It is complete; the reader's position is behind it.
    Commit {
        /// Its commit's end.
        lsn: Lsn,
    },
}

/// Reads a range that was verified: merges its channels back into transactions, skips what is at or
/// before the own position. Holds one chunk per channel, and one change.
#[derive(Debug)]
pub struct RangeReader<'a> {
    range: &'a Range,
    channels: Vec<Channel<'a>>,
    /// The open transaction, and the lowest ordinal that its next change can have.
    open: Option<(Lsn, u64)>,
    position: Position,
}

#[derive(Debug)]
struct Channel<'a> {
    of: &'a RangeChannel,
    cursor: ChannelCursor,
    next: Option<Run>,
    open: Option<OpenRun>,
}

#[derive(Debug)]
struct OpenRun {
    header: TransactionHeader,
    hash: wire::Hash,
    decoder: TransactionDecoder,
    entries: Entries,
    next: Option<Entry>,
}

#[derive(Debug)]
enum Entries {
    Memory(Bytes),
    Huge(Box<EntryReader<PartsReader>>),
}

impl<'a> RangeReader<'a> {
    /// Begins at `own`, which must be the position that the range was verified against.
    pub fn new(
        range: &'a Range,
        own: Position,
        relations: &mut Relations,
    ) -> Result<Self, RangeError> {
        relations.between_ranges();
        let mut channels = Vec::with_capacity(range.channels.len());
        let mut position = own.clone();
        for of in &range.channels {
            let mut cursor = ChannelCursor::new(range, of, &own)?;
            let next = cursor.next(relations)?;
            if next.is_none() && own.lsn <= range.through {
                position.hashes.set(of.channel.clone(), of.after);
            }
            channels.push(Channel { of, cursor, next, open: None });
        }
        Ok(Self { range, channels, open: None, position })
    }

    /// What comes next; `None` at the range's end, where the position is its `through`.
    pub fn next(&mut self, relations: &mut Relations) -> Result<Option<Event>, RangeError> {
        match self.open {
            Some((lsn, lowest)) => self.go_on(lsn, lowest, relations).map(Some),
            None => self.begin(relations),
        }
    }

    /// Behind the last [`Event::Commit`].
    pub fn position(&self) -> &Position {
        &self.position
    }

    fn begin(&mut self, relations: &Relations) -> Result<Option<Event>, RangeError> {
        let first = self.channels.iter().filter_map(|c| c.next.as_ref()).map(|run| run.lsn).min();
        let Some(lsn) = first else {
            self.position.lsn = self.position.lsn.max(self.range.through);
            return Ok(None);
        };
        let (mut header, mut alters) = (None, Alters::default());
        for channel in &mut self.channels {
            if channel.next.as_ref().is_none_or(|run| run.lsn != lsn) {
                continue;
            }
            let Some(run) = channel.next.take() else { continue };
            if channel.of.channel.is_control() {
                alters = channel.alters(&run, relations)?;
            }
            let open = channel.open_run(&run)?;
            if *header.get_or_insert(open.header) != open.header {
                let what = "transaction id or commit time";
                return Err(channel.cursor.malformed(Malformed::Disagreement { lsn, what }));
            }
            channel.open = Some(open);
        }
        self.open = Some((lsn, 0));
        let header = header.unwrap_or(TransactionHeader { xid: 0, commit_time_us: 0 });
        Ok(Some(Event::Begin { lsn, header, alters }))
    }

    fn go_on(
        &mut self,
        lsn: Lsn,
        lowest: u64,
        relations: &mut Relations,
    ) -> Result<Event, RangeError> {
        for channel in &mut self.channels {
            channel.read_ahead(relations)?;
        }
        let ordinal = |channel: &Channel<'_>| Some(channel.open.as_ref()?.next.as_ref()?.0);
        let next = self
            .channels
            .iter_mut()
            .filter_map(|channel| Some((ordinal(channel)?, channel)))
            .min_by_key(|(ordinal, _)| *ordinal);
        if let Some((ordinal, channel)) = next {
            let disagreement = Malformed::Disagreement { lsn, what: "order of changes" };
            let taken = channel.open.as_mut().and_then(|open| open.next.take());
            let change = match taken {
                Some((_, change)) if ordinal >= lowest => change,
                _ => return Err(channel.cursor.malformed(disagreement)),
            };
            self.open = Some((lsn, ordinal + 1));
            return Ok(Event::Change { channel: channel.of.channel.clone(), change });
        }
        for channel in &mut self.channels {
            if let Some(open) = channel.open.take() {
                self.position.hashes.set(channel.of.channel.clone(), open.hash);
                channel.next = channel.cursor.next(relations)?;
            }
        }
        self.open = None;
        self.position.lsn = lsn;
        Ok(Event::Commit { lsn })
    }
}

impl Channel<'_> {
    /// Reads a run to its end, and leaves it as if it had not been read: what capture has to say is
    /// short, also where its transaction is long.
    fn alters(&self, run: &Run, relations: &Relations) -> Result<Alters, RangeError> {
        let mut found = Lacking::default();
        self.each(run, relations, |change| found.look(&change))?;
        let mut alters = Alters { any: found.any, lacking: Vec::new() };
        if !found.is_empty() {
            self.each(run, relations, |change| {
                if found.is_first(&change) {
                    alters.lacking.push(change);
                }
            })?;
        }
        Ok(alters)
    }

    fn each(
        &self,
        run: &Run,
        relations: &Relations,
        mut look: impl FnMut(Change<Arc<Relation>>),
    ) -> Result<(), RangeError> {
        let mut open = self.open_run(run)?;
        while let Some((_, change)) =
            open.read(relations).map_err(|error| self.cursor.malformed(error))?
        {
            look(change);
        }
        Ok(())
    }

    fn open_run(&self, run: &Run) -> Result<OpenRun, RangeError> {
        let (header, entries) = match &run.body {
            RunBody::Memory(bytes) => {
                let (header, entries) = TransactionDecoder::header(bytes)
                    .map_err(|error| self.cursor.malformed(error))?;
                (header, Entries::Memory(entries))
            }
            RunBody::Huge(huge) => {
                let parts =
                    parts_of(self.of, huge).map_err(|error| self.cursor.malformed(error))?;
                let (header, entries) = EntryReader::new(PartsReader::new(parts), huge.raw_len)
                    .map_err(|error| self.cursor.malformed(Malformed::Stream(error)))?;
                (header, Entries::Huge(Box::new(entries)))
            }
        };
        let (hash, decoder) = (run.hash, TransactionDecoder::new());
        Ok(OpenRun { header, hash, decoder, entries, next: None })
    }

    /// Decodes the change that is next in this channel, unless it is there. Not before it is asked
    /// for: it may be as large as a value can be, and the one before may still be held.
    fn read_ahead(&mut self, relations: &Relations) -> Result<(), RangeError> {
        if let Some(open) = self.open.as_mut().filter(|open| open.next.is_none()) {
            open.next = open.read(relations).map_err(|error| self.cursor.malformed(error))?;
        }
        Ok(())
    }
}

impl OpenRun {
    fn read(&mut self, relations: &Relations) -> Result<Option<Entry>, Malformed> {
        match &mut self.entries {
            Entries::Memory(entries) => Ok(self.decoder.next(entries, relations.known())?),
            Entries::Huge(entries) => {
                let Some(entry) = entries.next_entry().map_err(Malformed::Stream)? else {
                    return Ok(None);
                };
                Ok(Some(self.decoder.entry(&entry, relations.known())?))
            }
        }
    }
}
