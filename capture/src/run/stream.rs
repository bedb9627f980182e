use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use wire::{CaptureState, Lsn};

use super::{board::Board, error::RunError, pulse::Pulse, snapshots::Snapshots};
use crate::{
    append::{CutPolicy, Pipeline, Relay},
    assemble::{Assembler, Output, Proof},
    begin::check_excluded,
    ddl::RowsNeeded,
    ledger::Ledger,
    pgoutput::{self, Message},
    settings::Settings,
    walsender::{CopyData, Feedback, StreamReader},
};

/// How often progress is sent, and heartbeats are thought of.
const TICK: Duration = Duration::from_secs(1);
/// WAL that may grow without a commit of the captured tables before one is made: less than this is
/// what heartbeats and checkpoints of an idle server write themselves.
const QUIET_BYTES: u64 = 16 << 10;
/// How long a relay may be in trouble before another is looked for.
const MOVE_AFTER: Duration = Duration::from_secs(10);
/// How long the end waits for what is under way.
const END_WITHIN: Duration = Duration::from_secs(10);

/// All that following the stream needs.
pub(super) struct Stream {
    pub(super) reader: StreamReader,
    pub(super) feedback: Feedback,
    pub(super) assembler: Assembler,
    pub(super) ledger: Ledger,
    pub(super) pipeline: Pipeline,
    pub(super) pulse: Pulse,
    pub(super) snapshots: Snapshots,
    pub(super) schema_changes: RowsNeeded,
    /// Beyond this a snapshot is needed.
    pub(super) rows_needed: watch::Sender<Lsn>,
    pub(super) policy: CutPolicy,
    pub(super) board: Board,
    pub(super) settings: Settings,
    /// The relay in use, then the others.
    pub(super) relays: Vec<Arc<Relay>>,
    /// Where the log's newest commit record begins, until that has come again.
    pub(super) known_start: Option<Lsn>,
    /// The server passes on messages, so that heartbeats reach us.
    pub(super) has_messages: bool,
}

impl Stream {
    /// Follows the stream until it breaks, or until `stop`: then all that was gathered is made durable
    /// and acknowledged.
    pub(super) async fn follow(mut self, stop: &CancellationToken) -> Result<(), RunError> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut clock = Clock { last_commit: Instant::now(), search: None };
        loop {
            self.take_received()?;
            self.ship(&mut clock)?;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                durable = self.pipeline.next() => self.settle(durable?),
                () = tick(&mut ticks) => self.tick(&mut clock)?,
                found = searched(&mut clock.search) => self.moved(found)?,
                message = self.reader.next(), if self.wants_more() => self.take(message?)?,
            }
        }
        self.finish().await
    }

    /// Whether more is read: otherwise it waits in the socket, and the server waits with it. Feedback
    /// goes on meanwhile, from a task of its own.
    fn wants_more(&self) -> bool {
        self.pipeline.has_room() && !self.policy.is_full(self.assembler.gathered())
    }

    fn take(&mut self, message: CopyData) -> Result<(), RunError> {
        match message {
            CopyData::XLogData(data) => {
                let message = pgoutput::decode(data.payload, data.start)?;
                if let Message::Relation(of) = &message {
                    let names = of.columns.iter().map(|c| (&*of.schema, &*of.name, &*c.name));
                    check_excluded(&self.settings, names)?;
                }
                if let Some(commit_start) = self.schema_changes.look(&message)? {
                    // What comes again may be older.
                    self.rows_needed.send_if_modified(|needed| {
                        let newer = commit_start > *needed;
                        *needed = commit_start.max(*needed);
                        newer
                    });
                }
                self.assembler.receive(message)?;
            }
            CopyData::Keepalive(keepalive) => self.assembler.keepalive(keepalive.end)?,
        }
        self.load();
        Ok(())
    }

    /// Takes what was read from the socket already.
    fn take_received(&mut self) -> Result<(), RunError> {
        while self.wants_more() {
            match self.reader.next_received()? {
                Some(message) => self.take(message)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Cuts a slice if it is time.
    fn ship(&mut self, clock: &mut Clock) -> Result<(), RunError> {
        let gathered = self.assembler.gathered();
        let under_way = self.pipeline.slices_under_way();
        if self.assembler.has_gathered() && self.policy.wants_cut(gathered, under_way) {
            self.assembler.cut()?;
            clock.last_commit = Instant::now();
            self.load();
        }
        Ok(())
    }

    /// Hands over what is ready to leave.
    fn load(&mut self) {
        while let Some(output) = self.assembler.pop() {
            match output {
                Output::Part(part) => self.pipeline.part(part.bytes),
                Output::Slice(slice) => {
                    let header = slice.header();
                    let commit_start = header.commit.map(|commit| commit.start);
                    self.ledger.sent(header.through, commit_start);
                    self.pipeline.slice(slice);
                }
            }
        }
    }

    fn settle(&mut self, durable: Option<Lsn>) {
        if let Some(position) = durable.and_then(|durable| self.ledger.durable(durable)) {
            self.feedback.report(position, position);
        }
    }

    fn tick(&mut self, clock: &mut Clock) -> Result<(), RunError> {
        if self.pipeline.is_empty() && self.assembler.cut_progress()? {
            self.load();
        }
        self.snapshots.look(&mut self.assembler);
        self.note_proof();
        self.keep_known(clock);
        self.note_state();
        self.look_for_another(clock);
        Ok(())
    }

    fn note_proof(&mut self) {
        if self.assembler.proof() != Proof::Proved {
            return;
        }
        let start = self.known_start.take();
        if let Some(position) = start.and_then(|start| self.ledger.known_again(start)) {
            self.feedback.report(position, position);
        }
    }

    /// Where no commit comes by itself while WAL grows, one is made, so that the slot can follow. Where
    /// none can be made, the slot follows mere progress.
    fn keep_known(&mut self, clock: &mut Clock) {
        let view = self.pulse.view();
        let grown = view.position.bytes_since(self.ledger.acknowledged());
        if clock.last_commit.elapsed() < self.settings.heartbeat_every || grown < QUIET_BYTES {
            return;
        }
        if !self.pipeline.is_empty() || self.assembler.is_open() {
            return;
        }
        clock.last_commit = Instant::now();
        if self.has_messages && !view.mute {
            self.pulse.beat();
        } else if let Some(position) = self.ledger.follow_progress() {
            self.feedback.report(position, position);
        }
    }

    fn note_state(&self) {
        let view = self.pulse.view();
        let unproved = self.assembler.proof() == Proof::Unproved || self.ledger.is_lenient();
        let trouble = self.pipeline.trouble().map(|trouble| trouble.what).or(view.keys);
        let (state, error) = match (view.publication, unproved) {
            (Some(change), _) => (CaptureState::PublicationChanged, Some(change)),
            (None, true) => (CaptureState::Unproved, trouble),
            (None, false) => (CaptureState::Streaming, trouble),
        };
        self.board.state(state, error);
    }

    fn look_for_another(&self, clock: &mut Clock) {
        let troubled = self.pipeline.trouble().is_some_and(|t| t.since.elapsed() >= MOVE_AFTER);
        if !troubled || self.relays.len() < 2 || clock.search.is_some() {
            return;
        }
        let relays = self.relays.clone();
        clock.search = Some(tokio::spawn(async move {
            for relay in relays.into_iter().skip(1) {
                if relay.is_alive().await {
                    return Some(relay);
                }
            }
            None
        }));
    }

    fn moved(&self, found: Option<Arc<Relay>>) -> Result<(), RunError> {
        match (found, self.pipeline.trouble(), self.relays.first()) {
            (Some(to), Some(_), Some(from)) => {
                let (from, to) = (from.address().to_string(), to.address().to_string());
                Err(RunError::Moved { from, to })
            }
            _ => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<(), RunError> {
        self.snapshots.stop();
        self.assembler.cut()?;
        self.load();
        let settled = timeout(END_WITHIN, async {
            while !self.pipeline.is_empty() {
                let durable = self.pipeline.next().await?;
                self.settle(durable);
            }
            Ok::<_, RunError>(())
        });
        match settled.await {
            Ok(done) => done?,
            Err(_) => tracing::warn!(
                "the relay did not take the last slices within {} s; they come again at the next start",
                END_WITHIN.as_secs()
            ),
        }
        self.snapshots.stopped().await;
        let (durable, acknowledged) = (self.ledger.durable_position(), self.ledger.acknowledged());
        tracing::info!(
            "stopped: the relay has everything up to {durable}, the slot is at {acknowledged}"
        );
        if let Err(error) = self.feedback.close().await {
            tracing::debug!(%error, "the stream was not closed in order");
        }
        Ok(())
    }
}

struct Clock {
    /// When a commit was last put into a slice.
    last_commit: Instant,
    /// Looks for a relay that answers.
    search: Option<JoinHandle<Option<Arc<Relay>>>>,
}

async fn tick(ticks: &mut Interval) {
    ticks.tick().await;
}

/// The result of a search; waits forever where there is none.
async fn searched(search: &mut Option<JoinHandle<Option<Arc<Relay>>>>) -> Option<Arc<Relay>> {
    match search {
        Some(task) => {
            let found = task.await.unwrap_or(None);
            *search = None;
            found
        }
        None => std::future::pending().await,
    }
}
