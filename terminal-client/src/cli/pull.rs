use std::{str::FromStr, time::Duration};

use croner::Cron;
use tokio_util::sync::CancellationToken;

use super::{
    args::PullArgs,
    config::Configured,
    connection::source_name,
    failure::CliError,
    settings::{ONCE_PATIENCE, settings, target},
};
use crate::{
    progress::{Progress, counted, shown_bytes},
    pull::{Bounds, Outcome, Policy, Schedule, Timing, run},
};

/// Runs `pull`; says at the end what was done.
pub(super) async fn pull(
    args: PullArgs,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let args = args.configured()?;
    let timing = timing(&args)?;
    let source = source_name(&args.relay)?;
    let target = target(args.target.as_deref())?;
    let patience = match timing.schedule {
        Schedule::Once => Some(args.relay.timeout.unwrap_or(ONCE_PATIENCE)),
        _ => args.relay.timeout,
    };
    let bounds = Bounds::default();
    let bounds = Bounds {
        commit_changes: args.commit_changes.unwrap_or(bounds.commit_changes),
        commit_after: args.commit_after.unwrap_or(bounds.commit_after),
        load_connections: args.load_connections.unwrap_or(bounds.load_connections),
        ..bounds
    };
    let policy = Policy {
        on_conflict: args.on_conflict.unwrap_or_default(),
        on_error: args.on_error.unwrap_or_default(),
        guard: args.guard,
    };
    let settings = settings(&args.relay, source, args.name, &target, patience, bounds, policy)?;
    let outcome = run(&timing, &target, settings.clone(), progress, stop).await;
    progress.end();
    let outcome = outcome?;
    let received = shown_bytes(settings.relays.received());
    if let (Schedule::Once, Outcome::Stopped { applied }) = (&timing.schedule, &outcome) {
        return Err(CliError::Stopped(match applied {
            Some(applied) => format!(
                "{} is at {applied}, all of it committed, and not at its goal; the next pull goes on; {received} received",
                settings.source
            ),
            None => format!(
                "the next pull goes on where it was (`tailwater-terminal status`); {received} received"
            ),
        }));
    }
    let window = timing.window.map(|window| window.to_string()).unwrap_or_default();
    progress.say(&match outcome {
        Outcome::AtHead { applied, transactions, changes } => format!(
            "{} is at {applied}: {} in {} applied, {received} received",
            settings.source,
            counted(changes, "change"),
            counted(transactions, "transaction")
        ),
        Outcome::Stopped { applied: Some(applied) } => {
            format!(
                "stopped; {} is at {applied}, all of it committed; {received} received",
                settings.source
            )
        }
        Outcome::Stopped { applied: None } => format!(
            "stopped; the next pull goes on where it was (`tailwater-terminal status`); {received} received"
        ),
        Outcome::Outside => format!("outside of --window {window}: nothing was pulled"),
        Outcome::Closed { applied: Some(applied) } => format!(
            "--window {window} closed; {} is at {applied}, all of it committed, and not at its goal; the next pull goes on; {received} received",
            settings.source
        ),
        Outcome::Closed { applied: None } => format!(
            "--window {window} closed; the next pull goes on where it was (`tailwater-terminal status`); {received} received"
        ),
        Outcome::Busy => format!(
            "another run is pulling {} into this target; this one leaves it to that",
            settings.source
        ),
    });
    Ok(())
}

/// When it runs.
pub(super) fn timing(args: &PullArgs) -> Result<Timing, CliError> {
    let jitter = args.jitter.unwrap_or(Duration::ZERO);
    Ok(Timing { schedule: schedule(args)?, jitter, window: args.window })
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
