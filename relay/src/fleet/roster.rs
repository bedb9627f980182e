use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use wire::{
    CaptureReport, Lag, Lineage, Lsn, RelayLag, SliceHeader, SourceName, TerminalName,
    TerminalReport,
};

use super::{
    capture::{Capture, CaptureRecord, SlotRoom},
    clock::{Moment, seconds},
    commits::CommitTimes,
    limits::FleetLimits,
    master::MasterSeen,
    terminal::{Terminal, TerminalRecord, Yardstick},
};

/// The terminals and the capture of one source, as last heard of.
#[derive(Clone, Debug)]
pub struct Fleet {
    limits: FleetLimits,
    terminals: BTreeMap<TerminalName, Terminal>,
    capture: Capture,
    commits: CommitTimes,
    master: MasterSeen,
    /// Terminals that were heard of or forgotten since they were last saved.
    unsaved: BTreeSet<TerminalName>,
    capture_unsaved: bool,
}

/// The log, as far as a lag depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFacts {
    /// The source.
    pub source: SourceName,
    /// Its history.
    pub lineage: Lineage,
    /// Those that it succeeds.
    pub succeeds: Vec<Lineage>,
    /// Newest durable position; none until the log has begun.
    pub head: Option<Lsn>,
    /// Oldest position it can be read from; none until the log has begun.
    pub horizon: Option<Lsn>,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// The slot's name, as the log knows it.
    pub slot: Option<String>,
}

/// A terminal that is not taken in, because there are too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the terminal '{name}' is not kept in the list of terminals: {limit} are there already; forget those that are gone (`tailwater-relay terminal forget NAME`), or raise --terminals-limit"
)]
pub struct FleetFull {
    /// Its name.
    pub name: TerminalName,
    /// How many are there.
    pub limit: usize,
}

impl Fleet {
    /// Nobody was heard of yet.
    pub fn new(limits: FleetLimits) -> Self {
        Self {
            limits,
            terminals: BTreeMap::new(),
            capture: Capture::default(),
            commits: CommitTimes::default(),
            master: MasterSeen::default(),
            unsaved: BTreeSet::new(),
            capture_unsaved: false,
        }
    }

    /// As another run of the relay has left it.
    pub fn restored(
        limits: FleetLimits,
        terminals: impl IntoIterator<Item = (TerminalName, TerminalRecord)>,
        capture: Option<CaptureRecord>,
        now: Moment,
    ) -> Self {
        let terminals = terminals.into_iter();
        let terminals = terminals.map(|(name, record)| (name, Terminal::restored(record, now)));
        let capture = capture.map(|record| Capture::restored(record, now)).unwrap_or_default();
        Self { terminals: terminals.collect(), capture, ..Self::new(limits) }
    }

    /// Takes a terminal's report, whether it came by a report or with a pull.
    pub fn terminal_report(
        &mut self,
        report: &TerminalReport,
        now: Moment,
    ) -> Result<(), FleetFull> {
        let name = &report.terminal;
        let limit = self.limits.terminals;
        if self.terminals.len() >= limit && !self.terminals.contains_key(name) {
            return Err(FleetFull { name: name.clone(), limit });
        }
        let before = self.terminals.get(name);
        self.terminals.insert(name.clone(), Terminal::reported(report, before, now));
        self.unsaved.insert(name.clone());
        Ok(())
    }

    /// Forgets a terminal; `false` where it is not known. It is back with its next report.
    pub fn forget(&mut self, name: &TerminalName) -> bool {
        let known = self.terminals.remove(name).is_some();
        if known {
            self.unsaved.insert(name.clone());
        }
        known
    }

    /// Takes a capture's report; `false` where it comes from a fenced session and is not taken.
    pub fn capture_report(&mut self, report: &CaptureReport, now: Moment) -> bool {
        let taken = self.capture.report(report, now);
        if taken {
            if let Some(lsn) = report.master {
                self.master.see(lsn, now.steady);
            }
            self.capture_unsaved = true;
        }
        taken
    }

    /// The capture was heard of otherwise: a session, an upload, a request.
    pub fn capture_contact(&mut self, now: Moment) {
        self.capture.contact(now);
        self.capture_unsaved = true;
    }

    /// A slice of the capture is durable in the log. Repeats, and two in each other's place, do no harm.
    pub fn appended(&mut self, header: &SliceHeader, now: Moment) {
        self.logged(header);
        self.capture.appended(now);
        self.capture_unsaved = true;
    }

    /// A slice or a closed range is in the log, e.g. from an earlier run.
    pub fn logged(&mut self, header: &SliceHeader) {
        self.commits.add(header);
        self.master.reached(header.through);
    }

    /// The log begins at `horizon` from now on.
    pub fn trimmed(&mut self, horizon: Lsn) {
        self.commits.trim(horizon);
    }

    /// How far behind everyone is. `stored` looks into the log for the time (µs since 1970) of the
    /// oldest commit behind a position: asked where that was appended by an earlier run.
    pub fn lag(&self, log: &LogFacts, stored: impl Fn(Lsn) -> Option<i64>, now: Moment) -> Lag {
        let by = self.yardstick(log, &stored, now);
        let terminals = self.terminals.iter().map(|(name, terminal)| terminal.lag(name, &by));
        Lag {
            source: log.source.clone(),
            lineage: log.lineage,
            master: self.capture.master(),
            relay: self.relay_lag(log, by.head, now),
            capture: self.capture.lag(&self.limits, log.slot.as_deref(), now),
            terminals: terminals.collect(),
        }
    }

    /// Seconds since the oldest commit behind a position of the log's history; 0 at the head. `stored` as
    /// for [`Self::lag`].
    pub fn lag_seconds(
        &self,
        position: Lsn,
        log: &LogFacts,
        stored: impl Fn(Lsn) -> Option<i64>,
        now: Moment,
    ) -> f64 {
        seconds(self.yardstick(log, &stored, now).lag_behind(position))
    }

    fn yardstick<'a>(
        &'a self,
        log: &'a LogFacts,
        stored: &'a dyn Fn(Lsn) -> Option<i64>,
        now: Moment,
    ) -> Yardstick<'a> {
        Yardstick {
            lineage: log.lineage,
            succeeds: &log.succeeds,
            head: log.head.unwrap_or(Lsn::ZERO),
            horizon: log.horizon.unwrap_or(Lsn::ZERO),
            commits: &self.commits,
            stored,
            limits: &self.limits,
            now,
        }
    }

    /// How near the capture's slot is to being lost.
    pub fn slot_room(&self, now: Moment) -> SlotRoom {
        self.capture.slot_room(&self.limits, now)
    }

    fn relay_lag(&self, log: &LogFacts, head: Lsn, now: Moment) -> RelayLag {
        let master = self.capture.record.master.map(|(lsn, _)| lsn);
        let behind = self.master.past(head).map(|since| now.since(since));
        // Without a head everything is still to come, not late.
        let lag_bytes = log.head.zip(master).map_or(0, |(head, master)| master.bytes_since(head));
        let behind = behind.filter(|_| lag_bytes > 0).unwrap_or(SignedDuration::ZERO);
        RelayLag {
            head: log.head,
            horizon: log.horizon,
            lag_bytes,
            lag_seconds: seconds(behind),
            log_bytes: log.log_bytes,
        }
    }

    /// The terminals that changed since this was last asked, with what is to be kept of each;
    /// `None` for one that was forgotten. Meant to be saved now and then: what a crash loses is
    /// told again by the terminals' next reports.
    pub fn take_unsaved(&mut self) -> Vec<(TerminalName, Option<TerminalRecord>)> {
        let names = std::mem::take(&mut self.unsaved);
        let record = |name: &TerminalName| self.terminals.get(name).map(|it| it.record.clone());
        names.into_iter().map(|name| (name.clone(), record(&name))).collect()
    }

    /// These could not be saved: they are given out again.
    pub fn keep_unsaved(&mut self, names: impl IntoIterator<Item = TerminalName>) {
        self.unsaved.extend(names);
    }

    /// What is to be kept of the capture, where that changed since this was last asked.
    pub fn take_unsaved_capture(&mut self) -> Option<CaptureRecord> {
        std::mem::take(&mut self.capture_unsaved).then(|| self.capture.record.clone())
    }
}
