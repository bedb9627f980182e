mod schedule;
mod shown;
mod told;

use std::{io::Write, time::Duration};

use jiff::Timestamp;
use wire::{Lag, SourceName};

use self::{
    schedule::pull_times,
    shown::shown,
    told::{Divergence, Heard, LoadStatus, RelayStatus, SourceStatus, TargetStatus},
};
use super::{
    args::StatusArgs,
    config::Configured,
    failure::CliError,
    settings::{settings, target},
};
use crate::{
    fetch::FetchError,
    postgres::PostgresTarget,
    pull::{Bounds, NextRun, Policy, Settings, TargetAddress, next_run},
    sqlite::SqliteTarget,
    target::{LoadRecord, Stored, StoredState, Target},
};

/// How long the relay is waited for where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `status`.
pub(super) async fn status(args: StatusArgs) -> Result<(), CliError> {
    let args = args.configured()?;
    let address = target(args.target.as_deref())?;
    let mut status = match &address {
        TargetAddress::Postgres(server) => {
            of(PostgresTarget::open(server).await?, &address, &args).await?
        }
        TargetAddress::Sqlite(file) => {
            let mut file = file.clone();
            file.create = false;
            of(SqliteTarget::open(&file).await?, &address, &args).await?
        }
    };
    let heard = |source: &SourceStatus| source.relay.as_ref()?.heard.as_ref()?.last_contact.clone();
    let last_run = status.sources.iter().filter_map(heard).filter_map(|at| at.parse().ok()).max();
    status.schedule = pull_times(&args.pull, last_run)?;
    let text = if args.json {
        serde_json::to_string_pretty(&status).map_err(|error| CliError::Usage(error.to_string()))?
    } else {
        shown(&status, Timestamp::now())
    };
    let written = writeln!(std::io::stdout(), "{}", text.trim_end());
    written.map_err(|error| CliError::Io { doing: "write to standard output", error })?;
    let relays = status.sources.iter().filter_map(|source| source.relay.as_ref());
    match relays.filter_map(|relay| relay.code).next() {
        Some(code) => Err(CliError::NoRelay { code }),
        None => Ok(()),
    }
}

async fn of<T: Target>(
    mut target: T,
    address: &TargetAddress,
    args: &StatusArgs,
) -> Result<TargetStatus, CliError> {
    let names = match &args.relay.source_name {
        Some(name) => vec![name.clone()],
        None => target.sources().await?,
    };
    let mut sources = Vec::new();
    for source in names {
        let stored = target.stored(&source).await?;
        let load = target.unfinished_load(&source).await?;
        // Only a reload goes beside a position.
        let loaded = stored.as_ref().is_some_and(|stored| stored.applied().is_some());
        let load = load.filter(|load| !loaded || load.plan.reload.is_some());
        let written_at = match loaded {
            true => target.written_at(&source).await?,
            false => None,
        };
        let told = told(args, address, &source, stored.as_ref(), load.as_ref()).await?;
        if stored.is_some() || told.is_some() {
            let divergence = Divergence::of(&mut target, &source).await?;
            sources.push(source_status(source, stored, load, written_at, (divergence, told)));
        }
    }
    let (name, notes) = (target.name().to_owned(), target.notes());
    target.close().await;
    Ok(TargetStatus { target: name, notes, schedule: None, sources })
}

type Told = (RelayStatus, Option<NextRun>);

fn source_status(
    source: SourceName,
    stored: Option<Stored>,
    load: Option<LoadRecord>,
    last_commit: Option<String>,
    (divergence, told): (Divergence, Option<Told>),
) -> SourceStatus {
    let (relay, next_run) = told.map_or((None, None), |(relay, next)| (Some(relay), next));
    let first = stored.as_ref().map(|stored| stored.position.lsn).unwrap_or_default();
    SourceStatus {
        source,
        state: match stored.as_ref().map(|stored| stored.state) {
            None => "new",
            Some(StoredState::Ready) if load.is_none() => "ready",
            Some(_) => "loading",
        },
        lineage: stored.as_ref().map(|stored| stored.position.lineage),
        lsn: stored.as_ref().and_then(Stored::applied),
        last_commit,
        load: load.map(|LoadRecord { point, plan, .. }| LoadStatus {
            kind: plan.kind(),
            snapshot: plan.reload.as_ref().map_or(first, |reload| reload.lsn),
            tables: point.tables,
            bytes: point.bytes,
            total_bytes: plan.bytes,
        }),
        channels: stored.and_then(|stored| stored.channels),
        divergence,
        relay,
        next_run,
    }
}

/// What the relay tells of the source; none where none was given.
async fn told(
    args: &StatusArgs,
    address: &TargetAddress,
    source: &SourceName,
    stored: Option<&Stored>,
    load: Option<&LoadRecord>,
) -> Result<Option<Told>, CliError> {
    if args.relay.relay.is_empty() {
        return Ok(None);
    }
    let patience = Some(args.relay.timeout.unwrap_or(PATIENCE));
    let (name, bounds) = (args.name.clone(), Bounds::default());
    let settings =
        settings(&args.relay, source.clone(), name, address, patience, bounds, Policy::default())?;
    let lag = settings.relays.lag().await;
    let url = settings.relays.in_use();
    let next = match &lag {
        Err(FetchError::Unreachable { .. }) => None,
        _ => Some(next_run(&settings, stored, load).await),
    };
    let relay = match lag {
        Ok(lag) => relay_status(url, &lag, &settings, stored, next.as_ref()),
        Err(error) => RelayStatus {
            url,
            code: Some(error.exit_code()),
            error: Some(error.to_string()),
            ..RelayStatus::default()
        },
    };
    Ok(Some((relay, next)))
}

fn relay_status(
    url: String,
    lag: &Lag,
    settings: &Settings,
    stored: Option<&Stored>,
    next: Option<&NextRun>,
) -> RelayStatus {
    let own = stored.and_then(Stored::applied);
    let behind = next.and_then(|next| next.behind.as_ref());
    // What it said with the position goes before what it said a moment earlier.
    let head = behind.map(|behind| behind.head).or(lag.relay.head);
    let same = stored.is_some_and(|stored| stored.position.lineage == lag.lineage);
    let terminal = lag.terminals.iter().find(|terminal| terminal.name == settings.terminal);
    RelayStatus {
        url,
        head,
        // Positions of one history mean nothing in another.
        behind_bytes: head.zip(own.filter(|_| same)).map(|(head, own)| head.bytes_since(own)),
        behind_seconds: behind.map(|behind| behind.lag_seconds),
        behind_transactions: behind
            .map(|behind| (behind.least_transactions, behind.most_transactions)),
        heard: terminal.map(|terminal| Heard {
            name: terminal.name.clone(),
            last_contact: terminal.last_seen.clone(),
            state: terminal.state,
            error: terminal.error.clone(),
        }),
        error: None,
        code: None,
    }
}
