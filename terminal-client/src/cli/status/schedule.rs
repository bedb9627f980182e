use jiff::{Timestamp, Zoned};
use serde::Serialize;

use crate::{
    cli::{args::PullArgs, failure::CliError, pull::timing},
    pull::{Schedule, Timing},
};

/// When `pull` runs, as the --config file has it.
#[derive(Debug, Serialize)]
pub(super) struct PullTimes {
    /// `once`, `every 30 s`, `cron */5 * * * *`, `follow`.
    pub(super) runs: String,
    /// The hours of the day.
    pub(super) window: Option<String>,
    /// The next run, jitter aside (RFC 3339, UTC); none where the file does not say, or a run of unknown end
    /// goes before.
    pub(super) next: Option<String>,
}

/// None where the file says nothing of it; `last_run` is when the last run ended, or was heard of.
pub(super) fn pull_times(
    args: &PullArgs,
    last_run: Option<Timestamp>,
) -> Result<Option<PullTimes>, CliError> {
    let timing = timing(args)?;
    let Timing { schedule, window, .. } = &timing;
    let runs = match (schedule, &args.cron) {
        (Schedule::Once, _) if window.is_none() => return Ok(None),
        (Schedule::Once, _) => "once".to_owned(),
        (Schedule::Follow, _) => "follow".to_owned(),
        (Schedule::Every(pause), _) => format!("every {} s", pause.as_secs()),
        (Schedule::Cron(_), text) => format!("cron {}", text.as_deref().unwrap_or_default()),
    };
    let next = timing.next(&Zoned::now(), last_run);
    Ok(Some(PullTimes {
        runs,
        window: window.map(|window| window.to_string()),
        next: next.map(|at| at.to_string()),
    }))
}
