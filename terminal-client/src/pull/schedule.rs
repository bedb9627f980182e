use std::{future::Future, sync::Arc, time::Duration};

use croner::Cron;
use jiff::{Timestamp, Zoned};
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    address::TargetAddress,
    error::PullError,
    runner::{Opens, Outcome, Own, Runner, is_passing},
    session::Goal,
    settings::Settings,
    window::Window,
};
use crate::{
    chance,
    progress::{Progress, counted, shown_bytes},
    target::{Target, TargetError},
};

/// When pulls run.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Once, or how often.
    pub schedule: Schedule,
    /// Before each run a time up to this is waited, by chance: of many terminals with one schedule no
    /// two come at the same moment.
    pub jitter: Duration,
    /// Outside of it runs wait, or, once, are left out; those that are under way stop.
    pub window: Option<Window>,
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
    run_on(timing, target, settings, progress, stop).await
}

/// The same on a target that `open` opens, anew for each session.
pub async fn run_into<F, O, T>(
    timing: &Timing,
    open: F,
    settings: Arc<Settings>,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Outcome, PullError>
where
    F: Fn() -> O + Sync,
    O: Future<Output = Result<T, TargetError>> + Send,
    T: Target,
{
    run_on(timing, &Own(open), settings, progress, stop).await
}

async fn run_on<O: Opens>(
    timing: &Timing,
    target: &O,
    settings: Arc<Settings>,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Outcome, PullError> {
    let mut last = None;
    let mut first = true;
    loop {
        match timing.turn(progress, stop, std::mem::take(&mut first)).await {
            Turn::Come => {}
            Turn::Outside => return Ok(Outcome::Outside),
            Turn::Stopped => return Ok(Outcome::Stopped { applied: last }),
        }
        let within = stop.child_token();
        let _closing = timing.window.map(|window| {
            let within = within.clone();
            AbortOnDropHandle::new(tokio::spawn(async move {
                window.becomes(false).await;
                within.cancel();
            }))
        });
        let before = settings.relays.received();
        let runner = Runner { target, settings: settings.clone(), progress, stop: &within };
        let ended = runner.once(timing.schedule.goal()).await;
        if let (Ok(Outcome::Stopped { applied }), false) = (&ended, stop.is_cancelled()) {
            last = applied.or(last);
            if matches!(timing.schedule, Schedule::Once) {
                return Ok(Outcome::Closed { applied: last });
            }
            continue;
        }
        let Some(pause) = timing.schedule.pause(&Zoned::now())? else { return ended };
        match ended {
            Ok(Outcome::AtHead { applied, transactions, changes }) => {
                last = Some(applied);
                if changes > 0 {
                    progress.say(&format!(
                        "at {applied}: {} in {}, {} received",
                        counted(changes, "change"),
                        counted(transactions, "transaction"),
                        shown_bytes(settings.relays.received() - before)
                    ));
                }
            }
            Ok(Outcome::Stopped { applied }) => {
                return Ok(Outcome::Stopped { applied: applied.or(last) });
            }
            Ok(_) => {}
            // The next time is soon enough.
            Err(error) if is_passing(&error) => tracing::warn!("{error}"),
            Err(error) => return Err(error),
        }
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return Ok(Outcome::Stopped { applied: last });
        }
    }
}

/// What a run that is due does.
enum Turn {
    /// It begins.
    Come,
    /// It is left out: the window is closed, and a run once does not wait for it.
    Outside,
    /// It was told to stop.
    Stopped,
}

impl Timing {
    /// When the next run begins, jitter aside, where the last one ended at `ended`; none where nothing says.
    pub fn next(&self, now: &Zoned, ended: Option<Timestamp>) -> Option<Timestamp> {
        let at = match &self.schedule {
            Schedule::Once => return None,
            Schedule::Follow => now.clone(),
            Schedule::Every(pause) => {
                let at = ended?.checked_add(*pause).ok()?.max(now.timestamp());
                at.to_zoned(now.time_zone().clone())
            }
            Schedule::Cron(cron) => cron.find_next_occurrence(now, false).ok()?,
        };
        let waits =
            self.window.filter(|window| !window.is_open(&at)).map(|window| window.lasts(&at));
        at.timestamp().checked_add(waits.unwrap_or_default()).ok()
    }

    /// Waits for the window, then as chance says; tells of what may last, of jitter the `first` time.
    async fn turn(&self, progress: &Progress, stop: &CancellationToken, first: bool) -> Turn {
        if let Some(window) = self.window.filter(|window| !window.is_open(&Zoned::now())) {
            if matches!(self.schedule, Schedule::Once) {
                return Turn::Outside;
            }
            progress.say(&format!("outside of --window {window}: waiting until it opens"));
            if stop.run_until_cancelled(window.becomes(true)).await.is_none() {
                return Turn::Stopped;
            }
        }
        // A window may be shorter than the jitter.
        let open = self.window.map_or(Duration::MAX, |window| window.lasts(&Zoned::now()));
        let jitter = chance::up_to(self.jitter.min(open));
        if first && !jitter.is_zero() {
            progress.say(&format!("this run begins in {} s (--jitter)", jitter.as_secs()));
        }
        match stop.run_until_cancelled(sleep(jitter)).await {
            Some(()) => Turn::Come,
            None => Turn::Stopped,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_the_next_run_begins() {
        let now: Timestamp = "2026-01-14T12:07:30Z".parse().unwrap();
        let now = now.to_zoned(jiff::tz::TimeZone::UTC);
        let ended = Some("2026-01-14T12:07:10Z".parse().unwrap());
        let cron = |text: &str| Schedule::Cron(Box::new(text.parse().unwrap()));
        let every = |seconds| Schedule::Every(Duration::from_secs(seconds));
        let night = Some("22:00-06:00".parse().unwrap());
        for (schedule, window, ended, at) in [
            (Schedule::Once, None, ended, None),
            (Schedule::Follow, None, None, Some("2026-01-14T12:07:30Z")),
            (Schedule::Follow, night, None, Some("2026-01-14T22:00:00Z")),
            (cron("*/5 * * * *"), None, None, Some("2026-01-14T12:10:00Z")),
            (cron("*/5 * * * *"), night, None, Some("2026-01-14T22:00:00Z")),
            (every(30), None, ended, Some("2026-01-14T12:07:40Z")),
            (every(5), None, ended, Some("2026-01-14T12:07:30Z")),
            (every(30), night, ended, Some("2026-01-14T22:00:00Z")),
            (every(30), None, None, None),
        ] {
            let timing = Timing { schedule, jitter: Duration::ZERO, window };
            let found = timing.next(&now, ended).map(|at| at.to_string());
            assert_eq!(found.as_deref(), at, "{timing:?}");
        }
    }
}
