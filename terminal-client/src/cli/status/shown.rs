//! The status for people.

use jiff::Timestamp;
use wire::ChannelName;

use super::{
    schedule::PullTimes,
    told::{
        ConflictStatus, Divergence, Heard, HeldStatus, LoadStatus, RelayStatus, SourceStatus,
        TargetStatus,
    },
};
use crate::{
    progress::{counted, shown_bytes},
    pull::{Does, NextRun},
};

pub(super) fn shown(status: &TargetStatus, now: Timestamp) -> String {
    let mut lines = vec![format!("target   {}", status.target)];
    lines.extend(status.notes.iter().map(|note| format!("note     {note}")));
    lines.extend(status.schedule.as_ref().map(schedule_line));
    if status.sources.is_empty() {
        lines.push("no source has been loaded into it; `tailwater-terminal pull` begins".into());
    }
    for source in &status.sources {
        lines.push(String::new());
        lines.push(match source.lineage {
            Some(lineage) => format!("source   {} (lineage {lineage})", source.source),
            None => format!("source   {}", source.source),
        });
        lines.push(format!("state    {}", source.state));
        lines.push(match (source.lsn, source.state) {
            (Some(lsn), _) => format!("position {lsn}"),
            (None, "new") => "position none: it was never loaded".into(),
            (None, _) => "position none: the first load is under way, or was interrupted".into(),
        });
        lines.extend(
            source
                .last_commit
                .as_ref()
                .map(|at| format!("commit   {at}{}: the position moved last", ago(at, now))),
        );
        lines.extend(source.load.as_ref().map(load_line));
        lines.extend(source.lineage.map(|_| channels_line(source)));
        lines.extend(divergence_lines(&source.divergence));
        lines.push(relay_line(source.relay.as_ref()));
        let heard = source.relay.as_ref().and_then(|relay| relay.heard.as_ref());
        lines.extend(heard.into_iter().flat_map(|heard| heard_lines(heard, now)));
        lines.extend(source.next_run.as_ref().map(next_line));
    }
    lines.join("\n")
}

fn schedule_line(times: &PullTimes) -> String {
    let PullTimes { runs, window, next } = times;
    let window = window.as_ref().map(|hours| format!(", in the hours {hours}")).unwrap_or_default();
    let next = next.as_ref().map(|at| format!("; the next run is at {at}")).unwrap_or_default();
    format!("schedule {runs}{window}{next}")
}

fn channels_line(source: &SourceStatus) -> String {
    match &source.channels {
        None => "channels all".into(),
        Some(channels) => {
            let names: Vec<&str> = channels.iter().map(ChannelName::as_str).collect();
            format!("channels {}", names.join(", "))
        }
    }
}

fn divergence_lines(of: &Divergence) -> impl Iterator<Item = String> {
    let conflicts = of.conflicts.iter().map(|of| {
        let ConflictStatus { table, kind, count, last, last_key } = of;
        format!("conflict {table}: {count} {kind}, the last at {last} (key {last_key})")
    });
    let held = of.quarantine.iter().map(|HeldStatus { lsn, changes, why }| {
        format!("held     {lsn}, {}: {why}", counted(*changes as u64, "change"))
    });
    let on = "guard    on: other writers are refused; `pull --guard=false` takes it off";
    conflicts.chain(held).chain(of.guard.then(|| on.to_owned()))
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

fn relay_line(relay: Option<&RelayStatus>) -> String {
    match relay {
        None => "relay    not asked: give --relay to see how far behind it is".into(),
        Some(RelayStatus { error: Some(error), .. }) => format!("relay    {error}"),
        Some(RelayStatus { url, head: None, .. }) => format!("relay    {url} has no log of it yet"),
        Some(relay @ RelayStatus { url, head: Some(head), .. }) => {
            format!("relay    {url} is at {head}: {}", behind(relay))
        }
    }
}

fn behind(relay: &RelayStatus) -> String {
    let bytes = match relay.behind_bytes {
        None => return "no position here to compare that with".to_owned(),
        Some(0) => return "nothing is missing here".to_owned(),
        Some(bytes) => format!("{} of WAL", shown_bytes(bytes)),
    };
    let transactions = relay.behind_transactions.map(|counts| match counts {
        (least, Some(most)) if least == most => format!("{}, ", counted(most, "transaction")),
        (least, Some(most)) => format!("{least} to {}, ", counted(most, "transaction")),
        (least, None) => format!("at least {}, ", counted(least, "transaction")),
    });
    let age = relay.behind_seconds.map(|seconds| format!(", {} behind", span(seconds)));
    let (transactions, age) = (transactions.unwrap_or_default(), age.unwrap_or_default());
    format!("{transactions}{bytes} are missing here{age}")
}

fn heard_lines(heard: &Heard, now: Timestamp) -> impl Iterator<Item = String> {
    let at = heard.last_contact.as_deref().unwrap_or("never");
    // The name that JSON gives it.
    let state = serde_json::to_value(heard.state).unwrap_or_default();
    let state = state.as_str().unwrap_or_default();
    let contact =
        format!("contact  {at}{}: the relay heard of {} last ({state})", ago(at, now), heard.name);
    let error = heard.error.as_ref().map(|error| format!("error    {error}"));
    std::iter::once(contact).chain(error)
}

fn next_line(next: &NextRun) -> String {
    let bytes = next.fetch_bytes.map(shown_bytes).unwrap_or_default();
    let snapshot = next.snapshot.map(|at| at.to_string()).unwrap_or_default();
    let does = match next.does {
        Does::Load => format!("loads the snapshot at {snapshot}, {bytes} to fetch"),
        Does::Resume => {
            format!("goes on with the load of the snapshot at {snapshot}, {bytes} to fetch")
        }
        Does::Reload => {
            format!("loads the snapshot at {snapshot} over what is here, {bytes} to fetch")
        }
        Does::Pull => match next.behind.as_ref().is_some_and(|it| it.most_transactions.is_none()) {
            true => format!("pulls what is missing, more than {bytes} to fetch"),
            false => format!("pulls what is missing, {bytes} to fetch"),
        },
        Does::Nothing => "finds nothing to do".to_owned(),
        Does::Wait => "waits".to_owned(),
        Does::Stop => "stops".to_owned(),
        Does::Unknown => "depends on the relay".to_owned(),
    };
    match &next.why {
        Some(why) => format!("next     the next pull {does}: {why}"),
        None => format!("next     the next pull {does}"),
    }
}

/// `, 12 s ago`; nothing where it is no time.
fn ago(at: &str, now: Timestamp) -> String {
    let Ok(at) = at.parse::<Timestamp>() else { return String::new() };
    // Two clocks may differ.
    let seconds = now.duration_since(at).as_secs_f64().max(0.0);
    format!(", {} ago", span(seconds))
}

/// `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`.
fn span(seconds: f64) -> String {
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}
