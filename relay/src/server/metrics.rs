//! What is counted. Names say their unit (Prometheus' conventions); labels never grow with terminals.

use std::{sync::OnceLock, time::Duration};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use wire::{ProblemKind, SourceName};

use crate::fleet::SlotRoom;

const APPENDS: &str = "tailwater_relay_appends_total";
const APPEND_BYTES: &str = "tailwater_relay_append_bytes_total";
const APPEND_SECONDS: &str = "tailwater_relay_append_seconds";
const PULLS: &str = "tailwater_relay_pulls_total";
const SLICE_BYTES: &str = "tailwater_relay_slice_sent_bytes_total";
const OBJECT_BYTES_IN: &str = "tailwater_relay_object_received_bytes_total";
const OBJECT_BYTES_OUT: &str = "tailwater_relay_object_sent_bytes_total";
const PROBLEMS: &str = "tailwater_relay_problems_total";
const WAITING: &str = "tailwater_relay_waiting_pulls";
const CONNECTIONS: &str = "tailwater_relay_connections";
const HEAD: &str = "tailwater_relay_head_lsn_bytes";
const HORIZON: &str = "tailwater_relay_horizon_lsn_bytes";
const LOG_BYTES: &str = "tailwater_relay_log_bytes";
const LAG_BYTES: &str = "tailwater_relay_lag_bytes";
const LAG_SECONDS: &str = "tailwater_relay_lag_seconds";
const RETAINED: &str = "tailwater_relay_slot_retained_bytes";
const SAFE_WAL: &str = "tailwater_relay_slot_safe_wal_bytes";
const SLOT_TIME_LEFT: &str = "tailwater_relay_slot_time_left_seconds";
const TERMINALS: &str = "tailwater_relay_terminals";
const TERMINAL_LAG_BYTES: &str = "tailwater_relay_terminal_max_lag_bytes";
const TERMINAL_LAG_SECONDS: &str = "tailwater_relay_terminal_max_lag_seconds";
const CONFLICTS: &str = "tailwater_relay_terminal_conflicts";
const QUARANTINED: &str = "tailwater_relay_terminal_quarantined_transactions";
const DAMAGED: &str = "tailwater_relay_source_damaged";
const SEALING_FAILS: &str = "tailwater_relay_sealing_fails";

/// From a fast disk to a stalled one, seconds.
const APPEND_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.5, 2.0, 10.0];

/// Begins to count, once in a process; gives out what was counted.
pub(super) fn recorder() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let installed = HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let name = Matcher::Full(APPEND_SECONDS.to_owned());
        let builder = builder.set_buckets_for_metric(name, &APPEND_BUCKETS).ok()?;
        let handle = builder.install_recorder().ok()?;
        describe();
        Some(handle)
    });
    installed.as_ref()
}

fn describe() {
    describe_counter!(APPENDS, "Slices appended");
    describe_counter!(APPEND_BYTES, "Bytes of slices appended, as they came");
    describe_histogram!(APPEND_SECONDS, "From a slice's last byte until it is durable");
    describe_counter!(PULLS, "Pulls answered, by what they were answered with");
    describe_counter!(SLICE_BYTES, "Bytes of slices sent");
    describe_counter!(OBJECT_BYTES_IN, "Bytes of objects received");
    describe_counter!(OBJECT_BYTES_OUT, "Bytes of objects sent");
    describe_counter!(PROBLEMS, "Requests refused, by kind");
    describe_gauge!(WAITING, "Pulls that wait for something to come");
    describe_gauge!(CONNECTIONS, "Open connections");
    describe_gauge!(HEAD, "Newest durable position");
    describe_gauge!(HORIZON, "Oldest position that can be read from");
    describe_gauge!(LOG_BYTES, "Bytes of the log on disk");
    describe_gauge!(LAG_BYTES, "Bytes of WAL from head to the master's position");
    describe_gauge!(LAG_SECONDS, "Seconds since head was as new as the master");
    describe_gauge!(RETAINED, "WAL that the slot holds back on the master");
    describe_gauge!(
        SAFE_WAL,
        "WAL that may be written before the master drops the slot's; NaN without a limit, or where it is not known"
    );
    describe_gauge!(
        SLOT_TIME_LEFT,
        "Time until the master drops the slot's WAL at the present rate; NaN where that does not come nearer"
    );
    describe_gauge!(TERMINALS, "Terminals, by state");
    describe_gauge!(TERMINAL_LAG_BYTES, "Bytes of WAL that the terminal furthest behind lacks");
    describe_gauge!(TERMINAL_LAG_SECONDS, "Age of the oldest commit that any terminal lacks");
    describe_gauge!(
        CONFLICTS,
        "Changes that did not meet their rows at the terminals, since the first load of each"
    );
    describe_gauge!(QUARANTINED, "Transactions in the quarantines of the terminals");
    describe_gauge!(DAMAGED, "1 where acknowledged slices are lost or damaged");
    describe_gauge!(SEALING_FAILS, "1 where sealing fails and is tried again");
}

fn label(source: &SourceName) -> String {
    source.as_str().to_owned()
}

/// A slice is durable.
pub(super) fn appended(source: &SourceName, bytes: usize, took: Duration) {
    counter!(APPENDS, "source" => label(source)).increment(1);
    counter!(APPEND_BYTES, "source" => label(source)).increment(bytes as u64);
    histogram!(APPEND_SECONDS, "source" => label(source)).record(took.as_secs_f64());
}

/// A pull is answered.
pub(super) fn pulled(source: &SourceName, answer: &'static str) {
    counter!(PULLS, "source" => label(source), "answer" => answer).increment(1);
}

/// Bytes of slices went out.
pub(super) fn sent_slices(source: &SourceName, bytes: usize) {
    counter!(SLICE_BYTES, "source" => label(source)).increment(bytes as u64);
}

/// An object is stored.
pub(super) fn received_object(source: &SourceName, bytes: u64) {
    counter!(OBJECT_BYTES_IN, "source" => label(source)).increment(bytes);
}

/// Bytes of an object went out.
pub(super) fn sent_object(source: &SourceName, bytes: usize) {
    counter!(OBJECT_BYTES_OUT, "source" => label(source)).increment(bytes as u64);
}

/// A request is refused.
pub(super) fn refused(kind: ProblemKind) {
    let name = serde_json::to_value(kind).ok();
    let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned();
    counter!(PROBLEMS, "kind" => name).increment(1);
}

/// Counts a pull that waits, as long as it is held.
#[derive(Debug)]
pub(super) struct Waiting(());

impl Waiting {
    pub(super) fn begin() -> Self {
        gauge!(WAITING).increment(1.0);
        Self(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        gauge!(WAITING).decrement(1.0);
    }
}

/// Open connections.
pub(super) fn connections(count: usize) {
    gauge!(CONNECTIONS).set(number(count as u64));
}

/// A source that cannot be served at all.
pub(super) fn damaged(source: &SourceName, is_damaged: bool) {
    gauge!(DAMAGED, "source" => label(source)).set(f64::from(u8::from(is_damaged)));
}

/// Whether sealing fails.
pub(super) fn sealing_fails(source: &SourceName, fails: bool) {
    gauge!(SEALING_FAILS, "source" => label(source)).set(f64::from(u8::from(fails)));
}

/// How a source stands.
pub(super) fn standing(lag: &wire::Lag) {
    let set =
        |name: &'static str, value: f64| gauge!(name, "source" => label(&lag.source)).set(value);
    set(HEAD, number(lag.relay.head.unwrap_or_default().get()));
    set(HORIZON, number(lag.relay.horizon.unwrap_or_default().get()));
    set(LOG_BYTES, number(lag.relay.log_bytes));
    set(LAG_BYTES, number(lag.relay.lag_bytes));
    set(LAG_SECONDS, lag.relay.lag_seconds);
    set(RETAINED, number(lag.capture.retained_bytes));
    let furthest = lag.terminals.iter().map(|terminal| terminal.lag_bytes).max();
    set(TERMINAL_LAG_BYTES, number(furthest.unwrap_or(0)));
    set(TERMINAL_LAG_SECONDS, lag.terminals.iter().map(|t| t.lag_seconds).fold(0.0, f64::max));
    let sum = |of: fn(&wire::Divergence) -> u64| {
        number(lag.terminals.iter().map(|terminal| of(&terminal.divergence)).sum())
    };
    set(QUARANTINED, sum(|of| of.quarantined));
    for (kind, count) in
        [("row-missing", sum(|of| of.row_missing)), ("row-present", sum(|of| of.row_present))]
    {
        gauge!(CONFLICTS, "source" => label(&lag.source), "kind" => kind).set(count);
    }
    for (state, name) in STATES {
        let count = lag.terminals.iter().filter(|terminal| terminal.state == state).count();
        let gauge = gauge!(TERMINALS, "source" => label(&lag.source), "state" => name);
        gauge.set(number(count as u64));
    }
}

/// How near its slot is to being lost.
pub(super) fn slot_room(source: &SourceName, room: SlotRoom) {
    // A gauge that was set once stays, so what is not known must be said too.
    let known = |count: Option<u64>| count.map_or(f64::NAN, number);
    gauge!(SAFE_WAL, "source" => label(source)).set(known(room.safe_wal_bytes));
    gauge!(SLOT_TIME_LEFT, "source" => label(source)).set(known(room.time_left_seconds));
}

const STATES: [(wire::TerminalState, &str); 6] = [
    (wire::TerminalState::Loading, "loading"),
    (wire::TerminalState::Ok, "ok"),
    (wire::TerminalState::Behind, "behind"),
    (wire::TerminalState::Offline, "offline"),
    (wire::TerminalState::Error, "error"),
    (wire::TerminalState::Expired, "expired"),
];

/// Prometheus knows floating-point numbers only: exact up to 2^53, which is 8 PiB.
fn number(count: u64) -> f64 {
    count as f64
}
