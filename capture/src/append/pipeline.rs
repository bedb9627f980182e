use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use wire::{Lsn, ProblemKind, Slice};

use super::{
    client::{Relay, RelayAddress},
    error::{RelayError, Remedy},
    patience::Patience,
};

/// While the relay is in trouble, how often it is said.
const REMIND_EVERY: Duration = Duration::from_secs(30);

/// An answer that takes longer is said to be slow.
const SLOW_ANSWER: Duration = Duration::from_secs(15);

/// What may be under way at once.
#[derive(Debug, Clone, Copy)]
pub struct PipelineLimits {
    /// Appends. Default 2.
    pub appends: usize,
    /// Uploads of parts. Default 3.
    pub uploads: usize,
    /// Bytes of slices that wait and of parts not yet there; above, nothing more is read from the
    /// master. Default 24 MiB.
    pub held_bytes: usize,
}

impl Default for PipelineLimits {
    fn default() -> Self {
        Self { appends: 2, uploads: 3, held_bytes: 24 << 20 }
    }
}

#[derive(Debug)]
enum Load {
    Part(Bytes),
    Slice(Slice),
}

impl Load {
    fn len(&self) -> usize {
        match self {
            Self::Part(bytes) => bytes.len(),
            Self::Slice(slice) => slice.bytes().len(),
        }
    }
}

/// Brings parts and slices to the relay in their order: slices follow each other closely, a slice
/// waits for the parts before it. What the relay cannot take now is tried again until it can.
#[derive(Debug)]
pub struct Pipeline {
    relay: Arc<Relay>,
    session: u64,
    limits: PipelineLimits,
    waiting: VecDeque<Load>,
    /// Of what waits, and of parts on their way.
    held_bytes: usize,
    uploads: JoinSet<Result<usize, RelayError>>,
    appends: JoinSet<Result<Lsn, RelayError>>,
    durable: watch::Sender<Lsn>,
    trouble: watch::Sender<Option<Trouble>>,
}

/// The relay does not take what it is given.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// Since when.
    pub since: Instant,
    /// What it is.
    pub what: String,
}

impl Pipeline {
    /// For a session that begins with the relay's head at `head`.
    pub fn new(relay: Arc<Relay>, session: u64, head: Lsn, limits: PipelineLimits) -> Self {
        Self {
            relay,
            session,
            limits,
            waiting: VecDeque::new(),
            held_bytes: 0,
            uploads: JoinSet::new(),
            appends: JoinSet::new(),
            durable: watch::Sender::new(head),
            trouble: watch::Sender::new(None),
        }
    }

    /// A part of a huge transaction.
    pub fn part(&mut self, bytes: Bytes) {
        self.put(Load::Part(bytes));
    }

    /// The next slice.
    pub fn slice(&mut self, slice: Slice) {
        self.put(Load::Slice(slice));
    }

    /// Whether more may be gathered: otherwise the stream must wait.
    pub fn has_room(&self) -> bool {
        self.held_bytes < self.limits.held_bytes
    }

    /// Slices that are not yet durable.
    pub fn slices_under_way(&self) -> usize {
        let waiting = self.waiting.iter().filter(|load| matches!(load, Load::Slice(_)));
        self.appends.len() + waiting.count()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.uploads.is_empty() && self.waiting.is_empty()
    }

    /// Since when the relay has not taken anything, and why.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.borrow().clone()
    }

    /// Waits for the next append to become durable and returns the relay's position, or for an upload
    /// (`None`). Waits forever where nothing is under way. Cancellation-safe.
    pub async fn next(&mut self) -> Result<Option<Lsn>, RelayError> {
        tokio::select! {
            Some(done) = self.appends.join_next() => {
                let durable = joined(done)??;
                self.durable.send_modify(|known| *known = durable.max(*known));
                self.pump();
                Ok(Some(*self.durable.borrow()))
            }
            Some(done) = self.uploads.join_next() => {
                let uploaded = joined(done)??;
                self.held_bytes = self.held_bytes.saturating_sub(uploaded);
                self.pump();
                Ok(None)
            }
            else => std::future::pending().await,
        }
    }

    fn put(&mut self, load: Load) {
        self.held_bytes += load.len();
        self.waiting.push_back(load);
        self.pump();
    }

    /// Starts what may start.
    fn pump(&mut self) {
        while let Some(load) = self.waiting.front() {
            let free = match load {
                Load::Part(_) => self.uploads.len() < self.limits.uploads,
                Load::Slice(_) => {
                    self.uploads.is_empty() && self.appends.len() < self.limits.appends
                }
            };
            if !free {
                return;
            }
            let Some(load) = self.waiting.pop_front() else { return };
            let errand = Errand {
                relay: self.relay.clone(),
                session: self.session,
                trouble: self.trouble.clone(),
            };
            match load {
                Load::Part(bytes) => self.uploads.spawn(errand.upload(bytes)),
                Load::Slice(slice) => {
                    self.held_bytes = self.held_bytes.saturating_sub(slice.bytes().len());
                    self.appends.spawn(errand.append(slice, self.durable.subscribe()))
                }
            };
        }
    }
}

/// A task of ours neither panics nor is it cancelled while it is waited for.
fn joined<T>(done: Result<T, tokio::task::JoinError>) -> Result<T, RelayError> {
    match done {
        Ok(value) => Ok(value),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

struct Errand {
    relay: Arc<Relay>,
    session: u64,
    trouble: watch::Sender<Option<Trouble>>,
}

impl Errand {
    async fn upload(self, bytes: Bytes) -> Result<usize, RelayError> {
        let mut setback = Setback::new(&self.relay, &self.trouble);
        loop {
            match setback.watch(self.relay.object(self.session, bytes.clone())).await {
                Ok(_) => {
                    setback.over();
                    return Ok(bytes.len());
                }
                Err(error) => setback.bear(error).await?,
            }
        }
    }

    async fn append(
        self,
        slice: Slice,
        mut durable: watch::Receiver<Lsn>,
    ) -> Result<Lsn, RelayError> {
        let after = slice.header().after;
        let mut setback = Setback::new(&self.relay, &self.trouble);
        loop {
            let had_its_turn = *durable.borrow() >= after;
            match setback.watch(self.relay.append(self.session, slice.bytes().clone())).await {
                Ok(answer) => {
                    setback.over();
                    return Ok(answer.durable);
                }
                // The append before this one is still being tried.
                Err(error) if error.kind() == Some(ProblemKind::Gap) && !had_its_turn => {
                    if durable.wait_for(|durable| *durable >= after).await.is_err() {
                        return Err(error);
                    }
                }
                Err(error) => setback.bear(error).await?,
            }
        }
    }
}

/// One errand's failures: said once, reminded of, and said to be over.
struct Setback<'a> {
    relay: RelayAddress,
    trouble: &'a watch::Sender<Option<Trouble>>,
    patience: Patience,
    said: Option<Instant>,
    damaged: u32,
}

/// A slice that was damaged on the way is sent again so many times.
const DAMAGE_LIMIT: u32 = 3;

impl<'a> Setback<'a> {
    fn new(relay: &Relay, trouble: &'a watch::Sender<Option<Trouble>>) -> Self {
        let relay = relay.address().clone();
        Self { relay, trouble, patience: Patience::default(), said: None, damaged: 0 }
    }

    /// Waits for an answer; one that does not come is trouble long before it counts as a failure.
    async fn watch<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let mut answer = std::pin::pin!(answer);
        match timeout(SLOW_ANSWER, &mut answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let seconds = SLOW_ANSWER.as_secs();
                let relay = self.relay.clone();
                self.say(&format!(
                    "the relay at {relay} has not answered for {seconds} s; waiting"
                ));
                answer.await
            }
        }
    }

    /// Waits before the next attempt, or gives the error back where another would not help.
    async fn bear(&mut self, error: RelayError) -> Result<(), RelayError> {
        let damaged = error.kind() == Some(ProblemKind::Malformed);
        self.damaged += u32::from(damaged);
        let again = error.remedy() == Remedy::Again || (damaged && self.damaged < DAMAGE_LIMIT);
        if !again {
            return Err(error);
        }
        self.say(&format!("{}; trying again", crate::explain::chain(&error)));
        sleep(self.patience.pause()).await;
        Ok(())
    }

    fn say(&mut self, what: &str) {
        if self.said.is_none_or(|said| said.elapsed() >= REMIND_EVERY) {
            tracing::warn!("{what}");
            self.said = Some(Instant::now());
        }
        self.trouble.send_modify(|trouble| {
            trouble.get_or_insert(Trouble { since: Instant::now(), what: what.to_owned() });
        });
    }

    fn over(&self) {
        if self.said.is_some() && self.trouble.send_replace(None).is_some() {
            tracing::info!("the relay takes what it is given again");
        }
    }
}
