use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use wire::Hash;

use super::{
    download::{Interrupted, download},
    error::FetchError,
    failure::{Failure, FailureKind},
    partial::Partial,
    relays::Relays,
    spool::Spool,
    whereabouts::{Place, Whereabouts},
};
use crate::range::ObjectFile;

/// An object that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: Hash,
    pub(super) len: u64,
}

/// Fetches one object, with everything that may go wrong: goes on where it broke off, asks again
/// where it is listed, goes to another relay. None where it is no longer listed.
pub(super) async fn fetch(
    relays: &Relays,
    spool: &Arc<Spool>,
    whereabouts: &Whereabouts,
    wanted: Wanted,
) -> Result<Option<ObjectFile>, FetchError> {
    let mut partial = Partial::begin(wanted.name, wanted.len, spool)?;
    let mut trouble = Trouble::new(relays, wanted.name);
    loop {
        let Some(place) = whereabouts.find(relays, wanted.name).await? else { return Ok(None) };
        let Some(endpoint) = relays.endpoint(place.relay) else { return Ok(None) };
        if relays.is_held(place.relay) {
            // Another relay of the list has it too, or this one is waited for.
            whereabouts.renew(relays, &place).await?;
            continue;
        }
        let before = partial.received();
        let anew = trouble.was_damaged();
        match download(endpoint, &place.url, &mut partial, anew).await {
            Ok(()) => return Ok(Some(partial.finish().await?)),
            Err(Interrupted::Spool(error)) => return Err(error.into()),
            Err(Interrupted::Relay(failure)) => {
                tracing::debug!("{failure}");
                match trouble.after(failure, partial.received() > before, &place)? {
                    Next::Again => {}
                    Next::AgainAfter(pause) => sleep(pause).await,
                    Next::RenewAfter(pause) => {
                        sleep(pause).await;
                        whereabouts.renew(relays, &place).await?;
                    }
                }
            }
        }
    }
}

/// What to do after a failure.
enum Next {
    Again,
    AgainAfter(Duration),
    RenewAfter(Duration),
}

/// What went wrong so far with one object.
struct Trouble<'a> {
    relays: &'a Relays,
    name: Hash,
    pauses: Box<dyn Iterator<Item = Duration> + Send>,
    /// Since when no byte came.
    since: Option<Instant>,
    /// Relays that gave damaged bytes, once and again.
    damaged: HashSet<usize>,
    damaged_again: HashSet<usize>,
}

impl<'a> Trouble<'a> {
    fn new(relays: &'a Relays, name: Hash) -> Self {
        let pauses = Box::new(relays.settings().pauses());
        let (damaged, damaged_again) = (HashSet::new(), HashSet::new());
        Self { relays, name, pauses, since: None, damaged, damaged_again }
    }

    fn was_damaged(&self) -> bool {
        !self.damaged.is_empty()
    }

    fn after(&mut self, failure: Failure, came: bool, place: &Place) -> Result<Next, FetchError> {
        if came {
            // However often it breaks off: it goes on.
            self.since = None;
            self.pauses = Box::new(self.relays.settings().pauses());
            return Ok(Next::AgainAfter(self.pause()));
        }
        let damaged = match failure.kind {
            FailureKind::Damaged { found } => Some(found),
            _ => None,
        };
        // Once more from the same relay, past any cache; then from each other one.
        if damaged.is_some() && self.damaged.insert(place.relay) {
            tracing::warn!("{failure}");
            return Ok(Next::Again);
        }
        let tried_for = self.since.get_or_insert_with(Instant::now).elapsed();
        let pause = self.pause();
        self.relays.heed(place.relay, &failure);
        let out_of_patience = tried_for.saturating_add(pause) > self.relays.settings().patience;
        if let Some(found) = damaged {
            self.damaged_again.insert(place.relay);
            if out_of_patience || self.damaged_again.len() >= self.relays.len() {
                let (name, relay) = (self.name, failure.relay);
                return Err(FetchError::Damaged { name, relay, found });
            }
        } else if out_of_patience {
            return Err(FetchError::Unreachable { failures: vec![failure], tried_for });
        }
        if !matches!(failure.kind, FailureKind::Gone { .. }) {
            self.relays.distrust_relay(place.relay);
        }
        Ok(Next::RenewAfter(pause))
    }

    fn pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or_default()
    }
}
