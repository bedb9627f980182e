use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::error::PullError;
use crate::chance;

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);

/// Failures since something last worked: says how long to pause, and when to give up.
#[derive(Debug)]
pub(super) struct Trouble {
    patience: Option<Duration>,
    since: Instant,
    told: bool,
    pauses: ExponentialBackoff,
}

impl Trouble {
    /// Gives up after so long without success; never where there is none.
    pub(super) fn new(patience: Option<Duration>) -> Self {
        Self {
            patience,
            since: Instant::now(),
            told: false,
            pauses: ExponentialBuilder::new()
                .with_min_delay(SHORTEST)
                .with_max_delay(LONGEST)
                .without_max_times()
                .with_jitter()
                .with_jitter_seed(chance::seed())
                .build(),
        }
    }

    /// Something worked.
    pub(super) fn over(&mut self) {
        *self = Self::new(self.patience);
    }

    /// Something that may work later failed. Returns after a pause.
    ///
    /// # Errors
    /// That it is given up.
    pub(super) async fn pause(&mut self, error: PullError) -> Result<(), PullError> {
        let pause = self.pauses.next().unwrap_or(LONGEST).min(LONGEST);
        let spent = self.since.elapsed();
        if let Some(patience) = self.patience
            && spent + pause >= patience
        {
            tokio::time::sleep(patience.saturating_sub(spent)).await;
            return Err(PullError::GaveUp { after: patience, last: Box::new(error) });
        }
        if std::mem::replace(&mut self.told, true) {
            tracing::debug!(%error, "still failing");
        } else {
            tracing::warn!("{error}; trying again");
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
