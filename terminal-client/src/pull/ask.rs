use std::time::{Duration, Instant};

use wire::{Lsn, Snapshot};

use super::{error::PullError, settings::Settings};
use crate::{
    fetch::{FetchError, Offer},
    progress::Progress,
    target::Stored,
};

/// Between two looks for a snapshot that was asked for.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The newest snapshot of the target's own history from its position on; where there is none, capture is asked for
/// one. It is waited for as long as its copy goes on, and besides that as long as the patience lasts.
pub(super) async fn snapshot_for(
    settings: &Settings,
    progress: &Progress,
    stored: &Stored,
) -> Result<Snapshot, PullError> {
    let own = &stored.position;
    let mut waiting = Waiting::new(settings);
    loop {
        let offer = settings.relays.snapshots(&settings.channels).await?;
        if let Some(snapshot) = fitting(settings, stored, offer)? {
            return Ok(snapshot);
        }
        loop {
            // Again and again: a relay that was started anew has forgotten it.
            let newest = settings.relays.want_snapshot(own.lsn).await?.newest;
            if waiting.begins() {
                progress.say(&format!(
                    "there is no snapshot of {} from {} on: capture was asked for one, and it is waited for",
                    settings.source, own.lsn
                ));
            }
            if newest >= Some(own.lsn) {
                break;
            }
            waiting.pause(settings, own.lsn).await?;
        }
        waiting.pause(settings, own.lsn).await?;
    }
}

/// Refuses what is offered where it can never fit.
fn fitting(
    settings: &Settings,
    stored: &Stored,
    offer: Offer,
) -> Result<Option<Snapshot>, PullError> {
    let own = &stored.position;
    let (relay, source_name) = (settings.relays.in_use(), settings.source.clone());
    if offer.succeeds.contains(&own.lineage) {
        return Err(PullError::VerifyEnded { relay, source_name });
    }
    let loaded = stored.channel_set();
    if loaded != offer.channels {
        let allowed = offer.channels;
        return Err(FetchError::Channels { relay, loaded, allowed }.into());
    }
    if let Some(foreign) = offer.snapshots.iter().find(|of| of.lineage != own.lineage) {
        let (own, theirs) = (own.lineage, foreign.lineage);
        return Err(PullError::OtherLineage { relay, source_name, own, theirs });
    }
    Ok(offer.snapshots.into_iter().find(|snapshot| snapshot.lsn >= own.lsn))
}

/// How long a snapshot has been waited for without any progress of its copy.
struct Waiting {
    patience: Option<Duration>,
    begun: bool,
    since: Instant,
    copied: Option<u64>,
}

impl Waiting {
    fn new(settings: &Settings) -> Self {
        Self { patience: settings.patience, begun: false, since: Instant::now(), copied: None }
    }

    /// Whether it is the first time.
    fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.begun, true)
    }

    async fn pause(&mut self, settings: &Settings, from: Lsn) -> Result<(), PullError> {
        let copy = settings.relays.lag().await?.capture.copy;
        let copied = copy.map(|copy| copy.bytes_done.saturating_add(copy.rows));
        if copied.is_some() && copied != self.copied {
            (self.copied, self.since) = (copied, Instant::now());
        }
        if self.patience.is_some_and(|patience| self.since.elapsed() + LOOK_PAUSE >= patience) {
            let (relay, source_name) = (settings.relays.in_use(), settings.source.clone());
            return Err(PullError::NoSnapshot { relay, source_name, from });
        }
        tokio::time::sleep(LOOK_PAUSE).await;
        Ok(())
    }
}
