//! A lag as a table for people. Pure: a lag and a time in, text out.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Serialize;
use wire::{CaptureLag, CaptureState, CopyProgress, Divergence, Lag, TerminalLag, TerminalState};

use super::{
    grid::{Align, grid, plain},
    quantity::{show_seconds, show_size},
};

/// Heading and alignment of a terminal's columns.
const COLUMNS: [(&str, Align); 7] = [
    ("TERMINAL", Align::Left),
    ("STATE", Align::Left),
    ("LAG", Align::Right),
    ("BEHIND", Align::Right),
    ("APPLIED", Align::Right),
    ("SEEN", Align::Right),
    ("TROUBLE", Align::Left),
];

/// One source: master, relay, capture, then the terminals, the worst first.
pub(super) fn describe(lag: &Lag, now: Timestamp) -> String {
    let mut text = format!("{}   lineage {}\n", lag.source, lag.lineage);
    for (what, says) in [
        ("master", master(lag, now)),
        ("relay", relay(lag)),
        ("capture", capture(&lag.capture, now)),
    ] {
        text.push_str(&format!("  {what:<8} {says}\n"));
    }
    if let Some(error) = &lag.capture.error {
        text.push_str(&format!("           {}\n", plain(error)));
    }
    if lag.terminals.is_empty() {
        text.push_str("  no terminal has reported yet\n");
        return text;
    }
    let rows: Vec<Vec<String>> =
        worst_first(&lag.terminals).into_iter().map(|terminal| row(terminal, now)).collect();
    text.push('\n');
    for line in grid(&COLUMNS, &rows).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// The terminals of several sources in one table, the worst first.
pub(super) fn terminals(lags: &[Lag], now: Timestamp) -> String {
    let pairs = lags.iter().flat_map(|lag| lag.terminals.iter().map(move |it| (lag, it)));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by_key(|(_, terminal)| badness(terminal));
    let rows: Vec<Vec<String>> = pairs
        .into_iter()
        .map(|(lag, terminal)| {
            let mut row = row(terminal, now);
            row.insert(0, lag.source.to_string());
            row
        })
        .collect();
    let columns: Vec<_> = std::iter::once(("SOURCE", Align::Left)).chain(COLUMNS).collect();
    grid(&columns, &rows)
}

fn master(lag: &Lag, now: Timestamp) -> String {
    match lag.master.lsn {
        Some(lsn) => format!("at {lsn}, seen {}", ago(lag.master.seen_at.as_deref(), now)),
        None => "not seen yet".to_owned(),
    }
}

fn relay(lag: &Lag) -> String {
    let relay = &lag.relay;
    let size = show_size(relay.log_bytes);
    let Some(head) = relay.head else {
        return format!("waits for the first copy of the source; log {size}");
    };
    let behind = match relay.lag_bytes {
        0 => "up to date".to_owned(),
        bytes => format!("{} behind for {}", show_size(bytes), show_seconds(relay.lag_seconds)),
    };
    let from = relay.horizon.map(|lsn| format!(" from {lsn}")).unwrap_or_default();
    format!("at {head}, {behind}; log {size}{from}")
}

fn capture(capture: &CaptureLag, now: Timestamp) -> String {
    if capture.state == CaptureState::Unknown {
        return "not heard of yet".to_owned();
    }
    let mut text =
        format!("{}, heard {}", word(&capture.state), ago(capture.last_contact.as_deref(), now));
    if let Some(slot) = &capture.slot {
        let retained = show_size(capture.retained_bytes);
        text.push_str(&format!("; slot {} holds back {retained}", plain(slot)));
    }
    if let Some(copy) = &capture.copy {
        text.push_str(&format!("; {}", copying(copy)));
    }
    text
}

fn copying(copy: &CopyProgress) -> String {
    let (what, total) = (plain(&copy.what), show_size(copy.bytes_total));
    let left = copy.seconds_left.and_then(|seconds| u32::try_from(seconds).ok());
    let left = left
        .map_or(String::new(), |seconds| format!(", about {} left", show_seconds(seconds.into())));
    format!("{what} at {}% of {total}, {} rows{left}", copy.percent, copy.rows)
}

fn row(terminal: &TerminalLag, now: Timestamp) -> Vec<String> {
    vec![
        terminal.name.to_string(),
        word(&terminal.state),
        show_seconds(terminal.lag_seconds),
        show_size(terminal.lag_bytes),
        terminal.applied.map_or_else(|| "-".to_owned(), |lsn| lsn.to_string()),
        ago(terminal.last_seen.as_deref(), now),
        plain(&trouble(terminal)),
    ]
}

/// Its error, and where it is otherwise than the source.
fn trouble(terminal: &TerminalLag) -> String {
    let Divergence { row_missing, row_present, quarantined } = terminal.divergence;
    let conflicts = row_missing.saturating_add(row_present);
    let counted = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let all = [
        terminal.error.clone(),
        counted(quarantined, "in quarantine"),
        counted(conflicts, "met no row as it should have been"),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn worst_first(terminals: &[TerminalLag]) -> Vec<&TerminalLag> {
    let mut sorted: Vec<_> = terminals.iter().collect();
    sorted.sort_by_key(|terminal| badness(terminal));
    sorted
}

/// Smaller is worse.
fn badness(terminal: &TerminalLag) -> impl Ord + use<> {
    let state = match terminal.state {
        TerminalState::Error => 0,
        TerminalState::Expired => 1,
        TerminalState::Offline => 2,
        TerminalState::Behind => 3,
        TerminalState::Loading => 4,
        TerminalState::Ok => 5,
    };
    // Lags are never negative, and the bits of such numbers are in the numbers' order.
    let lag = Reverse((terminal.lag_seconds.max(0.0).to_bits(), terminal.lag_bytes));
    (state, lag, terminal.name.clone())
}

/// The word that the JSON has for it.
fn word(state: &impl Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}

fn ago(time: Option<&str>, now: Timestamp) -> String {
    match time.map(str::parse::<Timestamp>) {
        Some(Ok(time)) => format!("{} ago", show_seconds(now.duration_since(time).as_secs_f64())),
        _ => "never".to_owned(),
    }
}

#[cfg(test)]
mod tests;
