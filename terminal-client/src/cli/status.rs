use std::{io::Write, time::Duration};

use serde::Serialize;
use wire::{ChannelName, Lineage, Lsn, SourceName};

use super::{
    args::StatusArgs, config::Configured, connection::relays, failure::CliError, settings::target,
};
use crate::{
    fetch::FetchError,
    postgres::PostgresTarget,
    progress::{counted, shown_bytes},
    pull::TargetAddress,
    sqlite::SqliteTarget,
    target::{LoadRecord, StoredState, Target},
};

/// How long the relay is waited for where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `status` says.
#[derive(Debug, Serialize)]
struct TargetStatus {
    target: String,
    notes: Vec<String>,
    sources: Vec<SourceStatus>,
}

#[derive(Debug, Serialize)]
struct SourceStatus {
    source: SourceName,
    state: &'static str,
    lineage: Lineage,
    /// None while the first load is under way.
    lsn: Option<Lsn>,
    /// None where none is under way, or it has not made a table yet.
    load: Option<LoadStatus>,
    /// None for all.
    channels: Option<Vec<ChannelName>>,
    /// Changes that did not meet their rows since the first load, by table and kind.
    conflicts: Vec<ConflictStatus>,
    /// Transactions that could not be applied, and wait.
    quarantine: Vec<HeldStatus>,
    /// Whether other writers are refused.
    guard: bool,
    /// None where no relay was given.
    relay: Option<RelayStatus>,
}

/// A transaction in quarantine.
#[derive(Debug, Serialize)]
struct HeldStatus {
    lsn: Lsn,
    changes: usize,
    why: String,
}

/// Conflicts of one kind in one table.
#[derive(Debug, Serialize)]
struct ConflictStatus {
    table: String,
    kind: &'static str,
    count: u64,
    last: Lsn,
    last_key: String,
}

/// How far a load is.
#[derive(Debug, Serialize)]
struct LoadStatus {
    /// `first load`, or `reload`: then the tables are whole meanwhile, as of the position.
    kind: &'static str,
    /// The snapshot's position.
    snapshot: Lsn,
    /// Tables whose rows are all in.
    tables: usize,
    /// Bytes of rows that are in, of so many, as COPY prints them.
    bytes: u64,
    total_bytes: u64,
}

#[derive(Debug, Serialize)]
struct RelayStatus {
    url: String,
    head: Option<Lsn>,
    behind_bytes: Option<u64>,
    error: Option<String>,
    /// The exit code that goes with the error.
    #[serde(skip)]
    code: Option<u8>,
}

/// Runs `status`.
pub(super) async fn status(args: StatusArgs) -> Result<(), CliError> {
    let args = args.configured()?;
    let status = match target(args.target.as_deref())? {
        TargetAddress::Postgres(server) => of(PostgresTarget::open(&server).await?, &args).await?,
        TargetAddress::Sqlite(mut file) => {
            file.create = false;
            of(SqliteTarget::open(&file).await?, &args).await?
        }
    };
    let text = if args.json {
        serde_json::to_string_pretty(&status).map_err(|error| CliError::Usage(error.to_string()))?
    } else {
        shown(&status)
    };
    let written = writeln!(std::io::stdout(), "{}", text.trim_end());
    written.map_err(|error| CliError::Io { doing: "write to standard output", error })?;
    let relays = status.sources.iter().filter_map(|source| source.relay.as_ref());
    match relays.filter_map(|relay| relay.code).next() {
        Some(code) => Err(CliError::NoRelay { code }),
        None => Ok(()),
    }
}

async fn of<T: Target>(mut target: T, args: &StatusArgs) -> Result<TargetStatus, CliError> {
    let names = match &args.relay.source_name {
        Some(name) => vec![name.clone()],
        None => target.sources().await?,
    };
    let mut sources = Vec::new();
    for source in names {
        let Some(stored) = target.stored(&source).await? else { continue };
        let lsn = stored.applied();
        let load = target.unfinished_load(&source).await?;
        // Only a reload goes beside a position.
        let load = load.filter(|load| lsn.is_none() || load.plan.reload.is_some());
        let reloading = lsn.is_some() && load.is_some();
        let first = stored.position.lsn;
        let conflicts = target.conflicts(&source).await?.into_iter().map(|of| ConflictStatus {
            table: of.table,
            kind: of.kind.word(),
            count: of.count,
            last: of.last,
            last_key: of.last_key,
        });
        let conflicts = conflicts.collect();
        let held = target.held(&source).await?.into_iter();
        let quarantine = held.map(|held| HeldStatus {
            lsn: held.lsn,
            changes: held.operations.len(),
            why: held.why,
        });
        let quarantine = quarantine.collect();
        sources.push(SourceStatus {
            guard: target.is_guarded(&source).await?,
            relay: relay_status(args, &source, lsn).await?,
            source,
            state: match stored.state {
                StoredState::Ready if !reloading => "ready",
                _ => "loading",
            },
            lineage: stored.position.lineage,
            lsn,
            conflicts,
            quarantine,
            load: load.map(|LoadRecord { point, plan, .. }| LoadStatus {
                kind: plan.kind(),
                snapshot: plan.reload.as_ref().map_or(first, |reload| reload.lsn),
                tables: point.tables,
                bytes: point.bytes,
                total_bytes: plan.bytes,
            }),
            channels: stored.channels,
        });
    }
    let status = TargetStatus { target: target.name().to_owned(), notes: target.notes(), sources };
    target.close().await;
    Ok(status)
}

async fn relay_status(
    args: &StatusArgs,
    source: &SourceName,
    own: Option<Lsn>,
) -> Result<Option<RelayStatus>, CliError> {
    if args.relay.relay.is_empty() {
        return Ok(None);
    }
    let patience = args.relay.timeout.unwrap_or(PATIENCE);
    let relays = relays(&args.relay, source, Some(patience))?;
    let (head, error) = match relays.head().await {
        Ok(head) => (head, None),
        Err(error) => (None, Some(error)),
    };
    let code = error.as_ref().map(FetchError::exit_code);
    let error = error.map(|error| error.to_string());
    let behind_bytes = head.zip(own).map(|(head, own)| head.bytes_since(own));
    Ok(Some(RelayStatus { url: relays.in_use(), head, behind_bytes, error, code }))
}

fn shown(status: &TargetStatus) -> String {
    let mut lines = vec![format!("target   {}", status.target)];
    lines.extend(status.notes.iter().map(|note| format!("note     {note}")));
    if status.sources.is_empty() {
        lines.push("no source has been loaded into it; `tailwater-terminal pull` begins".into());
    }
    for source in &status.sources {
        lines.push(String::new());
        lines.push(format!("source   {} (lineage {})", source.source, source.lineage));
        lines.push(format!("state    {}", source.state));
        lines.push(match source.lsn {
            Some(lsn) => format!("position {lsn}"),
            None => "position none: the first load is under way, or was interrupted".into(),
        });
        lines.extend(source.load.as_ref().map(load_line));
        lines.push(match &source.channels {
            None => "channels all".into(),
            Some(channels) => {
                let names: Vec<&str> = channels.iter().map(ChannelName::as_str).collect();
                format!("channels {}", names.join(", "))
            }
        });
        lines.extend(source.conflicts.iter().map(conflict_line));
        lines.extend(source.quarantine.iter().map(|HeldStatus { lsn, changes, why }| {
            format!("held     {lsn}, {}: {why}", counted(*changes as u64, "change"))
        }));
        if source.guard {
            lines.push(
                "guard    on: other writers are refused; `pull --guard=false` takes it off".into(),
            );
        }
        lines.push(relay_line(source.relay.as_ref()));
    }
    lines.join("\n")
}

fn load_line(load: &LoadStatus) -> String {
    let LoadStatus { kind, snapshot, tables, bytes, total_bytes } = load;
    let percent = (u128::from(*bytes) * 100).checked_div((*total_bytes).into()).unwrap_or(100);
    format!(
        "load     {kind}, {percent}%: {} of {} MB of rows, {tables} tables complete, from the snapshot at {snapshot}",
        bytes / 1_000_000,
        total_bytes / 1_000_000
    )
}

fn conflict_line(of: &ConflictStatus) -> String {
    let ConflictStatus { table, kind, count, last, last_key } = of;
    format!("conflict {table}: {count} {kind}, the last at {last} (key {last_key})")
}

fn relay_line(relay: Option<&RelayStatus>) -> String {
    match relay {
        None => "relay    not asked: give --relay to see how far behind it is".into(),
        Some(RelayStatus { error: Some(error), .. }) => format!("relay    {error}"),
        Some(RelayStatus { url, head: None, .. }) => format!("relay    {url} has no log of it yet"),
        Some(RelayStatus { url, head: Some(head), behind_bytes, .. }) => {
            let behind = match behind_bytes {
                Some(0) => "nothing is missing here".to_owned(),
                Some(bytes) => format!("{} of WAL are missing here", shown_bytes(*bytes)),
                None => "not loaded yet".to_owned(),
            };
            format!("relay    {url} is at {head}: {behind}")
        }
    }
}
