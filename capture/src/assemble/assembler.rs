use std::collections::VecDeque;

use wire::{
    ChannelMap, EncodedTransaction, Lsn, SliceBuilder, TransactionEncoder, TransactionHeader,
};

use super::{
    changes::changes,
    error::AssembleError,
    history::{Brief, History, Proof, Treatment},
    huge::{PartMaker, Parts},
    mapping::{Mapping, map_of},
    marks::{ChannelState, Forgotten, Marks},
    open::Open,
    outline::{AssemblerSettings, Output, StartingPoint},
    relations::Relations,
};
use crate::pgoutput::{Commit as CommitMessage, LogicalMessage, Message};

/// The newest commit that came: what a message outside any transaction leans on, since it has
/// neither a time nor a place to acknowledge of its own.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    start: Lsn,
    time_us: i64,
}

/// Turns the stream of one connection into slices.
#[derive(Debug)]
pub struct Assembler {
    drain_above: usize,
    maker: PartMaker,
    relations: Relations,
    mapping: Mapping,
    history: History,
    builder: SliceBuilder,
    open: Option<Open>,
    anchor: Anchor,
    /// The end of the newest transaction that came.
    position: Lsn,
    /// The end of the newest transaction in the builder.
    pushed: Lsn,
    /// Up to where there is known to be nothing more.
    idle: Lsn,
    marks: Marks,
    out: VecDeque<Output>,
}

impl Assembler {
    /// For a stream that begins.
    pub fn new(settings: AssemblerSettings, start: StartingPoint) -> Self {
        let AssemblerSettings { source, lineage, session, slice_level, part_level, .. } = settings;
        let StartingPoint { head, hashes, channel_map, known, confirmed } = start;
        let anchor = known.map_or(Anchor { start: confirmed, time_us: 0 }, |known| Anchor {
            start: known.start,
            time_us: known.time_us,
        });
        let raw_limit = settings.part_raw;
        Self {
            drain_above: settings.drain_above,
            maker: PartMaker {
                source: source.clone(),
                lineage,
                session,
                level: part_level,
                raw_limit,
            },
            relations: Relations::default(),
            mapping: Mapping::new(channel_map),
            history: History::new(head, known, confirmed),
            builder: SliceBuilder::new(source, lineage, head, hashes, slice_level),
            open: None,
            anchor,
            position: Lsn::ZERO,
            pushed: head,
            idle: head,
            marks: Marks::default(),
            out: VecDeque::new(),
        }
    }

    /// Takes the next message of the stream.
    pub fn receive(&mut self, message: Message) -> Result<(), AssembleError> {
        match message {
            Message::Begin(begin) => {
                let lsn = begin.final_lsn;
                if self.open.is_some() {
                    return Err(AssembleError::Order { what: "BEGIN inside a transaction", lsn });
                }
                let treatment = self.history.begin(lsn, begin.xid)?;
                self.reach(lsn);
                self.open = Some(Open::new(lsn, begin.xid, begin.commit_time_us, treatment));
                Ok(())
            }
            Message::Commit(commit) => self.commit(commit),
            Message::Type(name) => {
                self.relations.learn_type(name);
                Ok(())
            }
            Message::Relation(relation) => {
                self.relations.learn(relation, &self.mapping);
                Ok(())
            }
            Message::Origin(_) => Ok(()),
            Message::Logical(message) if !message.transactional => self.lone_message(message),
            change => self.change(change),
        }
    }

    /// The server says that it has sent all there is up to `end`.
    pub fn keepalive(&mut self, end: Lsn) -> Result<(), AssembleError> {
        self.history.passed(end)?;
        if self.open.is_none() {
            self.idle = self.idle.max(end);
            self.reach(end);
        }
        Ok(())
    }

    /// Uncompressed bytes that wait for the next cut.
    pub fn gathered(&self) -> u64 {
        self.builder.raw_len()
    }

    /// Bytes held of the transaction under way.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.encoder.held())
    }

    /// Whether a transaction waits for the next cut.
    pub fn has_gathered(&self) -> bool {
        self.builder.transactions() > 0
    }

    /// Whether a transaction is under way.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the log is known to be the master's.
    pub fn proof(&self) -> Proof {
        self.history.proof()
    }

    /// Notes from here on how the channels stand at each commit, until a position is sought.
    pub fn note_marks(&mut self) {
        self.marks = Marks::noting(self.channel_state(), self.pushed);
    }

    /// How the channels stand at `lsn` is wanted; nothing at or before it was there yet when noting began.
    pub fn seek(&mut self, lsn: Lsn) {
        let open = self.open.as_ref().map_or(Lsn::ZERO, |open| open.start);
        self.marks.seek(lsn, self.idle.max(self.position).max(open));
    }

    /// How they stood there, once the stream has passed it; told once.
    pub fn sought(&mut self) -> Option<Result<ChannelState, Forgotten>> {
        self.marks.take()
    }

    /// Nobody wants to know any more.
    pub fn forget_marks(&mut self) {
        self.marks = Marks::default();
    }

    fn channel_state(&self) -> ChannelState {
        ChannelState { hashes: self.builder.hashes().clone(), map: self.mapping.map().clone() }
    }

    /// Nothing more comes that ends at or before `lsn`.
    fn reach(&mut self, lsn: Lsn) {
        let Self { marks, builder, mapping, .. } = self;
        marks.reach(lsn, || ChannelState {
            hashes: builder.hashes().clone(),
            map: mapping.map().clone(),
        });
    }

    /// Ends the slice under construction, if there is anything in it.
    pub fn cut(&mut self) -> Result<(), AssembleError> {
        if self.has_gathered() { self.finish_slice(self.pushed) } else { Ok(()) }
    }

    /// Where nothing is gathered or under way, and the server has been further: an empty slice to there.
    /// Returns whether there was any progress.
    pub fn cut_progress(&mut self) -> Result<bool, AssembleError> {
        if self.is_open() || self.has_gathered() || self.idle <= self.pushed {
            return Ok(false);
        }
        self.pushed = self.idle;
        self.finish_slice(self.idle)?;
        Ok(true)
    }

    /// The next thing that is ready to leave.
    pub fn pop(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn finish_slice(&mut self, through: Lsn) -> Result<(), AssembleError> {
        let after = self.builder.after();
        let slice = self.builder.finish(through);
        let slice = slice.map_err(|source| AssembleError::Slice { after, source })?;
        self.out.push_back(Output::Slice(slice));
        Ok(())
    }

    fn change(&mut self, message: Message) -> Result<(), AssembleError> {
        let Some(open) = &mut self.open else {
            let (what, lsn) = ("a change outside any transaction", self.position);
            return Err(AssembleError::Order { what, lsn });
        };
        // What capture notes for itself: a publication FOR ALL TABLES carries it.
        if self.relations.is_internal(&message) {
            return Ok(());
        }
        open.changes += 1;
        if open.treatment == Treatment::Repeat {
            return Ok(());
        }
        for (channel, change) in changes(message, &self.relations, open.start)? {
            if open.treatment == Treatment::Take {
                change.relations().iter().for_each(|(_, of)| self.mapping.bind(of.oid, &channel));
                open.map = map_of(&change).or(open.map.take());
            }
            open.encoder.push(&channel, &change);
        }
        if open.encoder.held() > self.drain_above { self.drain() } else { Ok(()) }
    }

    /// Sends off what is held of the open transaction.
    fn drain(&mut self) -> Result<(), AssembleError> {
        // What was gathered before must not wait for this transaction's parts.
        self.cut()?;
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.treatment == Treatment::Take {
            let uploads = open.parts.drain(&mut open.encoder, &self.maker, open.start)?;
            self.out.extend(uploads.into_iter().map(Output::Part));
        } else {
            for run in open.encoder.channels_mut() {
                run.drain(usize::MAX);
            }
        }
        Ok(())
    }

    fn commit(&mut self, commit: CommitMessage) -> Result<(), AssembleError> {
        let (start, end) = (commit.commit_lsn, commit.end_lsn);
        let open = self.open.take();
        let Some(mut open) = open.filter(|open| open.start == start) else {
            let what = "COMMIT without its BEGIN";
            return Err(AssembleError::Order { what, lsn: start });
        };
        self.advance(end)?;
        let empty = open.changes == 0;
        let anchor = Anchor { start, time_us: open.time_us };
        match open.treatment {
            Treatment::Take if empty => self.idle = self.idle.max(end),
            Treatment::Take => {
                let last = open.parts.drain_rest(&mut open.encoder, &self.maker, start)?;
                self.out.extend(last.into_iter().map(Output::Part));
                self.push(start, end, &open.encoder.finish(), &open.parts, open.map)?;
            }
            Treatment::Compare | Treatment::Repeat => {
                let compare = open.treatment == Treatment::Compare;
                let digest = compare.then(|| open.encoder.finish().digest);
                self.history.repeated(Brief { start, end, xid: open.xid, digest }, empty)?;
            }
        }
        if !empty {
            self.anchor = anchor;
        }
        self.reach(end);
        Ok(())
    }

    /// A message outside any transaction: a transaction of its own, without an id.
    fn lone_message(&mut self, message: LogicalMessage) -> Result<(), AssembleError> {
        let end = message.lsn;
        if self.open.is_some() {
            let what = "a non-transactional message inside a transaction";
            return Err(AssembleError::Order { what, lsn: end });
        }
        let treatment = self.history.message(end)?;
        self.advance(end)?;
        let Anchor { start, time_us } = self.anchor;
        // Which commit came before depends on where a log begins: that time is no part of what is hashed.
        let header = TransactionHeader { xid: 0, commit_time_us: 0 };
        let mut encoder = TransactionEncoder::new(header);
        for (channel, change) in changes(Message::Logical(message), &self.relations, end)? {
            encoder.push(&channel, &change);
        }
        if treatment != Treatment::Take {
            let digest = (treatment == Treatment::Compare).then(|| encoder.finish().digest);
            self.history.repeated(Brief { start, end, xid: 0, digest }, false)?;
            return Ok(());
        }
        let mut parts = Parts::default();
        if encoder.held() > self.drain_above {
            self.cut()?;
            let uploads = parts.drain(&mut encoder, &self.maker, start)?;
            self.out.extend(uploads.into_iter().map(Output::Part));
        }
        let mut encoded = encoder.finish();
        encoded.header.commit_time_us = time_us;
        self.reach(Lsn::new(end.get() - 1));
        self.push(start, end, &encoded, &parts, None)?;
        self.reach(end);
        Ok(())
    }

    /// Positions of what comes only go forward.
    fn advance(&mut self, end: Lsn) -> Result<(), AssembleError> {
        let position = self.position;
        if end <= position {
            return Err(AssembleError::Backwards { position, end });
        }
        self.position = end;
        Ok(())
    }

    fn push(
        &mut self,
        start: Lsn,
        end: Lsn,
        transaction: &EncodedTransaction,
        parts: &Parts,
        map: Option<ChannelMap>,
    ) -> Result<(), AssembleError> {
        let after = self.builder.after();
        if end <= self.pushed {
            return Err(AssembleError::Backwards { position: self.pushed, end });
        }
        let pushed = self.builder.push(start, end, transaction, parts.runs());
        pushed.map_err(|source| AssembleError::Slice { after, source })?;
        if let Some(map) = map {
            self.mapping.switch(map);
            self.relations.remap(&self.mapping);
        }
        let note = self.mapping.take_note();
        if self.marks.is_noting() {
            let hash = |channel| self.builder.hashes().get(self.maker.lineage, channel);
            let touched = transaction.channels.iter().map(|run| &run.channel);
            let hashes = touched.map(|channel| (channel.clone(), hash(channel))).collect();
            self.marks.commit(end, hashes, note.as_ref().map(|_| self.mapping.map().clone()));
        }
        if let Some(map) = note {
            self.builder.channel_map(map);
        }
        self.pushed = end;
        self.history.taken();
        if parts.is_empty() { Ok(()) } else { self.cut() }
    }
}
