use std::{str::FromStr, sync::Arc, time::Duration};

use croner::Cron;
use tokio_util::sync::CancellationToken;
use wire::TerminalName;

use super::{
    args::PullArgs,
    config::Configured,
    connection::{relays, source_name, spool_dir},
    failure::CliError,
};
use crate::{
    progress::Progress,
    pull::{Bounds, Outcome, Schedule, Settings, TargetAddress, run},
};

/// How long `--once` goes on without progress where nothing else is said.
const ONCE_PATIENCE: Duration = Duration::from_secs(60);

/// Runs `pull`; says at the end what was done.
pub(super) async fn pull(
    args: PullArgs,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let args = args.configured()?;
    let schedule = schedule(&args)?;
    let source = source_name(&args.relay)?;
    let target = target(args.target.as_deref())?;
    let patience = match schedule {
        Schedule::Once => Some(args.relay.timeout.unwrap_or(ONCE_PATIENCE)),
        _ => args.relay.timeout,
    };
    let relays = relays(&args.relay, &source, patience)?;
    let terminal = match args.name {
        Some(name) => name,
        None => default_name(&target),
    };
    let bounds = Bounds::default();
    let settings = Arc::new(Settings {
        source,
        terminal,
        spool_dir: Some(spool_dir(&args.relay)),
        channels: args.relay.channels,
        relays,
        patience,
        bounds: Bounds {
            commit_changes: args.commit_changes.unwrap_or(bounds.commit_changes),
            commit_after: args.commit_after.unwrap_or(bounds.commit_after),
            ..bounds
        },
    });
    let outcome = run(&schedule, &target, settings.clone(), progress, stop).await;
    progress.end();
    progress.say(&match outcome? {
        Outcome::AtHead { applied, transactions, changes } => format!(
            "{} is at {applied}: {changes} changes in {transactions} transactions applied",
            settings.source
        ),
        Outcome::Stopped { applied: Some(applied) } => {
            format!("stopped; {} is at {applied}, all of it committed", settings.source)
        }
        Outcome::Stopped { applied: None } => {
            "stopped before the first load was complete; the next pull begins it anew".to_owned()
        }
        Outcome::Busy => format!(
            "another run is pulling {} into this target; this one leaves it to that",
            settings.source
        ),
    });
    Ok(())
}

/// The target that was given.
pub(super) fn target(text: Option<&str>) -> Result<TargetAddress, CliError> {
    let missing = CliError::Missing { flag: "target", variable: "TAILWATER_TARGET" };
    Ok(TargetAddress::from_str(text.ok_or(missing)?)?)
}

fn schedule(args: &PullArgs) -> Result<Schedule, CliError> {
    let given = [args.once, args.follow, args.every.is_some(), args.cron.is_some()];
    if given.iter().filter(|given| **given).count() > 1 {
        let why = "--once, --every, --cron and --follow exclude each other: give one of them";
        return Err(CliError::Usage(why.into()));
    }
    if args.follow {
        return Ok(Schedule::Follow);
    }
    if let Some(pause) = args.every {
        return Ok(Schedule::Every(pause));
    }
    let Some(expression) = &args.cron else { return Ok(Schedule::Once) };
    let cron = Cron::from_str(expression).map_err(|error| {
        CliError::Usage(format!(
            "--cron '{expression}' is not a crontab expression: {error}; write minute, hour, day, month, weekday, e.g. '*/5 * * * *'"
        ))
    })?;
    Ok(Schedule::Cron(Box::new(cron)))
}

/// This host and the target's database, as far as a name can hold them.
fn default_name(target: &TargetAddress) -> TerminalName {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.split('.').next().unwrap_or_default().trim();
    let text = format!("{host}-{}", target.database());
    let safe = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    let name: String = text.chars().map(safe).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let name = name.get(..name.len().min(63)).unwrap_or("terminal");
    TerminalName::new(name)
        .or_else(|_| TerminalName::new("terminal"))
        .unwrap_or_else(|_| unreachable!())
}
