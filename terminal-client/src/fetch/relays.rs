use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::sleep;
use wire::SourceName;

use super::{
    address::RelayAddress, endpoint::Endpoint, error::FetchError, failure::Failure, flow::Flow,
    rotation::Rotation, settings::FetchSettings, token::Token,
};

/// Something that any relay of the list can be asked.
pub(super) trait Question: Sync {
    /// What it is answered with.
    type Answer: Send;

    /// Asks one relay once.
    fn ask(
        &self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// The relays of one source, in order of preference. One is in use; where it fails, the next takes
/// its place, and the preferred one is tried again after a while. Every request may be dropped at
/// any await.
#[derive(Debug)]
pub struct Relays {
    endpoints: Vec<Endpoint>,
    rotation: Mutex<Rotation>,
    /// The addresses of those whose last failure was said and that have not answered since.
    failing: Mutex<HashSet<String>>,
    settings: Arc<FetchSettings>,
    flow: Arc<Flow>,
}

impl Relays {
    /// The relays at these addresses, at least one.
    pub fn new(
        addresses: Vec<RelayAddress>,
        source: &SourceName,
        token: Option<&Token>,
        settings: FetchSettings,
    ) -> Result<Self, FetchError> {
        let settings = Arc::new(settings);
        let flow = Arc::new(Flow::new(settings.max_rate));
        let endpoints = Endpoint::all(addresses, source, token, &settings, &flow)?;
        let rotation = Mutex::new(Rotation::new(endpoints.len(), settings.prefer_again));
        Ok(Self { endpoints, rotation, failing: Mutex::default(), settings, flow })
    }

    /// The address of the relay in use.
    pub fn in_use(&self) -> String {
        let in_use = self.rotation().in_use();
        self.endpoints
            .get(in_use)
            .map(|endpoint| endpoint.address().to_string())
            .unwrap_or_default()
    }

    /// Bytes of answers that came so far, compressed, as they were sent.
    pub fn received(&self) -> u64 {
        self.flow.received()
    }

    /// Leaves the relay in use alone for a while, where there is another: what it gave was damaged.
    pub fn distrust(&self) {
        let in_use = self.rotation().in_use();
        self.distrust_relay(in_use);
    }

    pub(super) fn distrust_relay(&self, relay: usize) {
        if self.endpoints.len() > 1 {
            self.rotation().hold(relay, Instant::now(), self.settings.distrust);
        }
    }

    /// Leaves a relay alone as long as it asked for.
    pub(super) fn heed(&self, relay: usize, failure: &Failure) {
        if let Some(hold) = failure.retry_after {
            let hold = hold.min(self.settings.longest_retry_after);
            self.rotation().hold(relay, Instant::now(), hold);
        }
    }

    /// Whether a relay is left alone at present.
    pub(super) fn is_held(&self, relay: usize) -> bool {
        self.rotation().is_held(relay, Instant::now())
    }

    pub(super) fn settings(&self) -> &FetchSettings {
        &self.settings
    }

    pub(super) fn len(&self) -> usize {
        self.endpoints.len()
    }

    pub(super) fn endpoint(&self, relay: usize) -> Option<&Endpoint> {
        self.endpoints.get(relay)
    }

    /// Asks until a relay answers, round after round, for as long as `patience` lasts. Gives the
    /// relay's number with its answer. What all relays refuse is not asked again.
    pub(super) async fn ask<Q: Question>(
        &self,
        question: &Q,
        patience: Duration,
    ) -> Result<(usize, Q::Answer), FetchError> {
        let begun = Instant::now();
        let mut pauses = self.settings.pauses();
        let mut failures: Vec<Failure> = Vec::new();
        loop {
            let order = self.rotation().round(Instant::now());
            let asked = !order.is_empty();
            match self.round(question, order).await {
                Ok(found) => return Ok(found),
                Err(round) if asked => failures = round,
                Err(_) => {}
            }
            if let Some(error) = self.decided(&failures) {
                return Err(error);
            }
            let (now, tried_for) = (Instant::now(), begun.elapsed());
            let free = self.rotation().next_free(now).map_or(Duration::ZERO, |at| at - now);
            let pause = pauses.next().unwrap_or_default().max(free);
            let lasting = !failures.is_empty() && failures.iter().all(Failure::is_lasting);
            let left = patience.saturating_sub(tried_for);
            if lasting || left.is_zero() || free > left {
                return Err(FetchError::Unreachable { failures, tried_for });
            }
            self.say(&failures, "; trying again");
            // The last attempt is made when the time is over, not before.
            sleep(pause.min(left)).await;
        }
    }

    /// Asks each relay of `order` once.
    async fn round<Q: Question>(
        &self,
        question: &Q,
        order: Vec<usize>,
    ) -> Result<(usize, Q::Answer), Vec<Failure>> {
        let mut failures: Vec<Failure> = Vec::new();
        for relay in order {
            let Some(endpoint) = self.endpoints.get(relay) else { continue };
            match question.ask(endpoint).await {
                Ok(answer) => {
                    self.say(&failures, "; trying the next");
                    let address = endpoint.address().to_string();
                    let is_back = self.failing().remove(&address);
                    if self.rotation().worked(relay, Instant::now()) || is_back {
                        tracing::info!("using the relay at {address}");
                    }
                    return Ok((relay, answer));
                }
                Err(failure) => {
                    self.heed(relay, &failure);
                    let decisive = failure.is_succeeded();
                    failures.push(failure);
                    if decisive {
                        break;
                    }
                }
            }
        }
        Err(failures)
    }

    /// What no repetition changes: all relays refuse, one of them is only behind, or it says that this
    /// history ended.
    fn decided(&self, failures: &[Failure]) -> Option<FetchError> {
        if let Some(ended) = failures.iter().find(|failure| failure.is_succeeded()) {
            return FetchError::refused(ended);
        }
        if let Some(behind) = failures.iter().find(|failure| failure.is_behind()) {
            return Some(FetchError::Behind {
                relay: behind.relay.clone(),
                head: behind.problem().and_then(|problem| problem.head),
                detail: behind.problem().map(|problem| problem.detail.clone()).unwrap_or_default(),
            });
        }
        let all_refuse =
            failures.len() == self.endpoints.len() && failures.iter().all(Failure::is_refusal);
        failures.first().filter(|_| all_refuse).and_then(FetchError::refused)
    }

    /// Warns of each relay once until it answers again.
    fn say(&self, failures: &[Failure], next: &str) {
        let mut failing = self.failing();
        for failure in failures {
            if failing.insert(failure.relay.clone()) {
                tracing::warn!("{failure}{next}");
            } else {
                tracing::debug!("{failure}");
            }
        }
    }

    fn failing(&self) -> MutexGuard<'_, HashSet<String>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rotation(&self) -> MutexGuard<'_, Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
