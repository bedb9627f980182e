use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::sleep};
use tokio_util::task::AbortOnDropHandle;
use wire::{ChannelName, ChannelSet, Lsn, Manifest, ManifestRange, Slice};

use super::{
    budget::{Budget, Share},
    error::FetchError,
    pull::{PullRequest, Pulled},
    ranges::{Kept, bytes_of_range, fetch_range},
    relays::Relays,
    report::PullReport,
    spool::Spool,
    standing::Standing,
    whereabouts::Whereabouts,
};
use crate::{position::Position, range::ChannelFiles};

/// Before a relay that is behind is asked again, at most.
const BEHIND_PAUSE: Duration = Duration::from_secs(5);
/// How often in a row a range may be packed differently when its objects are asked for again.
const MOST_MOVES: u32 = 10;

/// What to fetch ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefetchRequest {
    /// Where to begin.
    pub from: Position,
    /// The channels; empty for all that the token allows.
    pub channels: Vec<ChannelName>,
    /// The channels that the target has, where none are named ([`PullRequest::loaded`]).
    pub loaded: Option<ChannelSet>,
    /// Bytes of slices for one pull, uncompressed.
    pub limit_bytes: u64,
    /// How long the relay waits at the head, whole seconds, at most 60.
    pub wait: Duration,
    /// What the terminal says of itself, until [`Prefetcher::report`] says otherwise.
    pub report: PullReport,
}

/// What was fetched.
#[derive(Debug)]
pub enum Fetched {
    /// Slices that follow what came before.
    Slices {
        /// The slices, at least one.
        slices: Vec<Slice>,
        /// Where they lead.
        standing: Standing,
    },
    /// A closed range that follows what came before, its objects in the spool.
    Closed {
        /// The range.
        range: ManifestRange,
        /// Its channels' objects, in the order of its channels.
        files: Vec<ChannelFiles>,
        /// Where it leads.
        standing: Standing,
    },
    /// At the head; nothing came within the wait.
    Nothing {
        /// `through` is the position reached before.
        standing: Standing,
    },
    /// No relay that answers has come as far as this terminal.
    Behind {
        /// The newest position at the one that said so.
        head: Option<Lsn>,
    },
}

/// Fetches the next ranges while the present one is applied. At the head it waits until it is asked
/// again, so that the next pull reports what was applied. Dropping it stops the fetching.
#[derive(Debug)]
pub struct Prefetcher {
    queue: mpsc::UnboundedReceiver<Result<Ready, FetchError>>,
    report: Arc<Mutex<PullReport>>,
    held: Option<Held>,
    _task: AbortOnDropHandle<()>,
}

type Held = (Share, Option<Share>);
type Ready = (Fetched, Held);

impl Prefetcher {
    /// Begins to fetch, in a task of its own: call it in a runtime.
    pub fn start(relays: &Arc<Relays>, spool: &Arc<Spool>, request: PrefetchRequest) -> Self {
        let (out, queue) = mpsc::unbounded_channel();
        let report = Arc::new(Mutex::new(request.report));
        let settings = relays.settings();
        let ahead = u32::try_from(settings.ranges_ahead).unwrap_or(u32::MAX);
        let fetching = Fetching {
            slots: Budget::of_units(ahead.saturating_add(1)),
            spooled: Budget::of_bytes(settings.spool_bytes),
            relays: Arc::clone(relays),
            spool: Arc::clone(spool),
            position: request.from,
            channels: request.channels,
            loaded: request.loaded,
            limit_bytes: request.limit_bytes,
            wait: request.wait,
            report: Arc::clone(&report),
            kept: Kept::new(),
            moves: 0,
            out,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(fetching.run()));
        Self { queue, report, held: None, _task: task }
    }

    /// What comes next. Asking for it says that what was handed out before is done with. After an
    /// error there is nothing more to come: begin again from the own position.
    pub async fn next(&mut self) -> Result<Fetched, FetchError> {
        drop(self.held.take());
        let (fetched, held) = self.queue.recv().await.unwrap_or(Err(FetchError::Ended))?;
        self.held = Some(held);
        Ok(fetched)
    }

    /// What the terminal says of itself from the next pull on.
    pub fn report(&self, report: PullReport) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }
}

struct Fetching {
    relays: Arc<Relays>,
    spool: Arc<Spool>,
    /// Behind what was fetched, with the hashes that it claimed.
    position: Position,
    channels: Vec<ChannelName>,
    loaded: Option<ChannelSet>,
    limit_bytes: u64,
    wait: Duration,
    report: Arc<Mutex<PullReport>>,
    slots: Budget,
    spooled: Budget,
    kept: Kept,
    moves: u32,
    out: mpsc::UnboundedSender<Result<Ready, FetchError>>,
}

/// How it goes on.
enum Next {
    Ahead,
    /// Only when everything handed out is done with.
    WhenAsked,
    Never,
}

impl Fetching {
    async fn run(mut self) {
        let mut next = Next::Ahead;
        loop {
            let slot = match next {
                Next::Ahead => self.slots.take_units(1).await,
                Next::WhenAsked => self.slots.take_all().await,
                Next::Never => return,
            };
            next = match self.step(slot).await {
                Ok(next) => next,
                Err(error) => {
                    // Nobody listens any more where this fails.
                    let _ = self.out.send(Err(error));
                    Next::Never
                }
            };
        }
    }

    async fn step(&mut self, slot: Share) -> Result<Next, FetchError> {
        match self.relays.pull(&self.request()).await? {
            Pulled::Slices { slices, standing } => {
                let parts = slices.iter().flat_map(|slice| &slice.header().channels);
                parts.for_each(|part| self.position.hashes.set(part.channel.clone(), part.after));
                self.position.lsn = standing.through;
                Ok(self.hand_out(Fetched::Slices { slices, standing }, (slot, None), standing))
            }
            Pulled::Manifest { manifest, relay, standing } => {
                self.manifest(slot, manifest, relay, standing).await
            }
            Pulled::Nothing { standing } => {
                Ok(self.hand_out(Fetched::Nothing { standing }, (slot, None), standing))
            }
            Pulled::Behind { head } => {
                sleep(self.wait.min(BEHIND_PAUSE)).await;
                let sent = self.out.send(Ok((Fetched::Behind { head }, (slot, None))));
                Ok(if sent.is_ok() { Next::WhenAsked } else { Next::Never })
            }
        }
    }

    async fn manifest(
        &mut self,
        first_slot: Share,
        manifest: Manifest,
        relay: usize,
        standing: Standing,
    ) -> Result<Next, FetchError> {
        let mut first_slot = Some(first_slot);
        let mut next = Next::Ahead;
        for range in manifest.ranges {
            let slot = match first_slot.take() {
                Some(slot) => slot,
                None => self.slots.take_units(1).await,
            };
            let share = self.spooled.take_bytes(bytes_of_range(&range)).await;
            let whereabouts = Whereabouts::of_range(relay, &range, self.request());
            let (relays, spool) = (&self.relays, &self.spool);
            let fetched = fetch_range(relays, spool, &whereabouts, &range, &mut self.kept).await?;
            let Some(files) = fetched else { return self.moved() };
            self.kept.clear();
            self.moves = 0;
            for channel in &range.channels {
                self.position.hashes.set(channel.channel.clone(), channel.after);
            }
            self.position.lsn = range.through;
            let standing = Standing { through: range.through, ..standing };
            let fetched = Fetched::Closed { range, files, standing };
            next = self.hand_out(fetched, (slot, Some(share)), standing);
            if matches!(next, Next::Never) {
                break;
            }
        }
        Ok(next)
    }

    /// The range is listed no more: the next pull tells how this part of the log is packed now.
    fn moved(&mut self) -> Result<Next, FetchError> {
        self.moves += 1;
        if self.moves > MOST_MOVES {
            let (failures, tried_for) = (Vec::new(), Duration::ZERO);
            return Err(FetchError::Unreachable { failures, tried_for });
        }
        Ok(Next::Ahead)
    }

    fn hand_out(&self, fetched: Fetched, held: Held, standing: Standing) -> Next {
        let nothing = matches!(fetched, Fetched::Nothing { .. });
        if self.out.send(Ok((fetched, held))).is_err() {
            return Next::Never;
        }
        if nothing || standing.through >= standing.head { Next::WhenAsked } else { Next::Ahead }
    }

    fn request(&self) -> PullRequest {
        let position = &self.position;
        PullRequest {
            after: position.lsn,
            lineage: Some(position.lineage),
            hashes: (!position.trusting).then(|| position.hashes.clone()),
            channels: self.channels.clone(),
            loaded: self.loaded.clone(),
            limit_bytes: self.limit_bytes,
            wait: self.wait,
            report: self.report.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
