use std::{sync::Arc, time::Duration};

use croner::Cron;
use jiff::Zoned;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    address::TargetAddress,
    error::PullError,
    runner::{Outcome, Runner, is_passing},
    session::Goal,
    settings::Settings,
};
use crate::{
    chance,
    progress::{Progress, counted, shown_bytes},
};

/// When pulls run.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Once, or how often.
    pub schedule: Schedule,
    /// Before each run a time up to this is waited, by chance: of many terminals with one schedule no
    /// two come at the same moment.
    pub jitter: Duration,
}

/// How often a pull runs.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Once, to the head as it is at the start.
    Once,
    /// Again and again, with a pause between.
    Every(Duration),
    /// At the times of a crontab expression, local time.
    Cron(Box<Cron>),
    /// On and on, as changes come.
    Follow,
}

impl Schedule {
    /// How long to wait for the next run; none where there is no next.
    fn pause(&self, now: &Zoned) -> Result<Option<Duration>, PullError> {
        match self {
            Self::Once | Self::Follow => Ok(None),
            Self::Every(pause) => Ok(Some(*pause)),
            Self::Cron(cron) => {
                let next = cron.find_next_occurrence(now, false);
                let next = next.map_err(|error| PullError::Internal(error.to_string()))?;
                Ok(Some(next.duration_since(now).unsigned_abs()))
            }
        }
    }

    fn goal(&self) -> Goal {
        if matches!(self, Self::Follow) { Goal::Follow } else { Goal::Head }
    }
}

/// Pulls as `timing` says, until done or told to stop. A `stop` finishes the open target transaction.
pub async fn run(
    timing: &Timing,
    target: &TargetAddress,
    settings: Arc<Settings>,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Outcome, PullError> {
    let relays = Arc::clone(&settings.relays);
    let runner = Runner { target, settings, progress, stop };
    let (mut last, mut told) = (None, false);
    loop {
        let jitter = chance::up_to(timing.jitter);
        if !jitter.is_zero() && !std::mem::replace(&mut told, true) {
            progress.say(&format!("this run begins in {} s (--jitter)", jitter.as_secs()));
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Outcome::Stopped { applied: last }),
            () = sleep(jitter) => {}
        }
        let before = relays.received();
        let ended = runner.once(timing.schedule.goal()).await;
        let Some(pause) = timing.schedule.pause(&Zoned::now())? else { return ended };
        match ended {
            Ok(Outcome::Stopped { applied }) => {
                return Ok(Outcome::Stopped { applied: applied.or(last) });
            }
            Ok(Outcome::AtHead { applied, transactions, changes }) => {
                last = Some(applied);
                if changes > 0 {
                    progress.say(&format!(
                        "at {applied}: {} in {}, {} received",
                        counted(changes, "change"),
                        counted(transactions, "transaction"),
                        shown_bytes(relays.received() - before)
                    ));
                }
            }
            Ok(Outcome::Busy) => {}
            // The next time is soon enough.
            Err(error) if is_passing(&error) => tracing::warn!("{error}"),
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return Ok(Outcome::Stopped { applied: last }),
        }
    }
}

/// Loads the relay's newest snapshot into a target that was loaded before, and goes on with a reload that
/// was interrupted. A `stop` leaves what was there, and what was loaded to go on with.
pub async fn reload(
    target: &TargetAddress,
    settings: Arc<Settings>,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Outcome, PullError> {
    let source_name = settings.source.clone();
    let mut target = target.clone();
    if let TargetAddress::Sqlite(file) = &mut target {
        file.create = false;
        if !file.path.exists() {
            return Err(PullError::NeverLoaded { target: file.to_string(), source_name });
        }
    }
    let target = &target;
    match (Runner { target, settings, progress, stop }).once(Goal::Reload).await? {
        Outcome::Busy => Err(PullError::InUse { source_name }),
        outcome => Ok(outcome),
    }
}
