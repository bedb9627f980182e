//! The states and lags of `docs/PROTOCOL.md`, with a clock that the test sets.

mod captures;
mod terminals;

use wire::{
    CaptureReport, CaptureState, Lag, Lineage, Lsn, SourceName, TerminalLag, TerminalName,
    TerminalReport, TerminalState,
};

use super::{
    clock::Moment,
    commits::headers::header,
    roster::{Fleet, LogFacts},
};

const LINEAGE: Lineage = Lineage::from_bytes([1; 16]);
const MIB: u64 = 1 << 20;

fn name(text: &str) -> TerminalName {
    TerminalName::new(text).unwrap()
}

fn report(terminal: &str, applied: Option<u64>, state: TerminalState) -> TerminalReport {
    TerminalReport {
        terminal: name(terminal),
        lineage: applied.map(|_| LINEAGE),
        applied: applied.map(Lsn::new),
        state,
        error: None,
        transactions: 0,
        changes: 0,
        divergence: None,
    }
}

fn capture(state: CaptureState, master: u64) -> CaptureReport {
    CaptureReport {
        session: 1,
        state,
        slot: "tailwater".to_owned(),
        master: Some(Lsn::new(master)),
        retained_bytes: Some(7),
        safe_wal_bytes: Some(9),
        slot_time_left_seconds: Some(11),
        copy: None,
        error: None,
    }
}

fn log(head: u64, horizon: u64) -> LogFacts {
    LogFacts {
        source: SourceName::new("orders").unwrap(),
        lineage: LINEAGE,
        succeeds: Vec::new(),
        head: Some(Lsn::new(head)),
        horizon: Some(Lsn::new(horizon)),
        log_bytes: 5,
        slot: None,
    }
}

/// With a log that knows of one commit more, at its very beginning.
fn lag_of(fleet: &Fleet, log: &LogFacts, now: Moment) -> Lag {
    let stored = |lsn: Lsn| (lsn < Lsn::new(100)).then(|| us(now) - 7_000_000);
    fleet.lag(log, stored, now)
}

fn us(moment: Moment) -> i64 {
    moment.wall.as_microsecond()
}

/// A commit of now, in `(after, through]`.
fn commit(fleet: &mut Fleet, after: u64, through: u64, now: Moment) {
    fleet.appended(&header(after, through, Some((us(now), us(now)))), now);
}

fn one(lag: &Lag, terminal: &str) -> TerminalLag {
    lag.terminals.iter().find(|found| found.name.as_str() == terminal).unwrap().clone()
}

fn state(fleet: &Fleet, log: &LogFacts, now: Moment) -> TerminalState {
    one(&lag_of(fleet, log, now), "t").state
}
