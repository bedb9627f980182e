use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use wire::{Divergence, Lineage, Lsn, TerminalLag, TerminalName, TerminalReport, TerminalState};

use super::{
    clock::{Moment, rfc3339, seconds, signed},
    commits::{BeforeIndex, CommitTimes},
    limits::FleetLimits,
};

/// Characters of an error that are kept.
const ERROR_CHARS: usize = 2000;

/// A terminal's last word, as it is kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalRecord {
    /// The history it follows; none before its first load.
    pub lineage: Option<Lineage>,
    /// The position that its database has flushed; none before its first load.
    pub applied: Option<Lsn>,
    /// Its state, by its own account.
    pub state: TerminalState,
    /// Its last error.
    pub error: Option<String>,
    /// When that was, by the wall clock.
    pub last_seen: Timestamp,
    /// Where it is otherwise than the source.
    #[serde(default)]
    pub divergence: Divergence,
}

/// A terminal.
#[derive(Clone, Debug)]
pub(super) struct Terminal {
    pub(super) record: TerminalRecord,
    /// When it was last heard of, as steady time.
    seen: SignedDuration,
}

/// What a terminal's position is compared with.
#[derive(Clone, Copy)]
pub(super) struct Yardstick<'a> {
    pub(super) lineage: Lineage,
    /// Those that it succeeds.
    pub(super) succeeds: &'a [Lineage],
    pub(super) head: Lsn,
    pub(super) horizon: Lsn,
    pub(super) commits: &'a CommitTimes,
    /// The same of the log, for positions from before the index.
    pub(super) stored: &'a dyn Fn(Lsn) -> Option<i64>,
    pub(super) limits: &'a FleetLimits,
    pub(super) now: Moment,
}

impl Yardstick<'_> {
    /// Age of the oldest commit behind `position`, nothing where there is none.
    pub(super) fn lag_behind(&self, position: Lsn) -> SignedDuration {
        if position >= self.head {
            return SignedDuration::ZERO;
        }
        let commit_us = match self.commits.oldest_after(position) {
            Ok(commit_us) => commit_us,
            Err(BeforeIndex) => (self.stored)(position.max(self.horizon)),
        };
        commit_us.map_or(SignedDuration::ZERO, |commit_us| self.now.age_of_us(commit_us))
    }
}

impl Terminal {
    /// What it leaves out stays as it was `before`, unless it loads anew.
    pub(super) fn reported(report: &TerminalReport, before: Option<&Self>, now: Moment) -> Self {
        let kept = before.map(|before| before.record.divergence);
        let error = report.error.as_deref().filter(|error| !error.is_empty());
        let before = before.filter(|_| report.state != TerminalState::Loading);
        let before = before.map(|before| &before.record);
        let record = TerminalRecord {
            lineage: report.lineage.or_else(|| before?.lineage),
            applied: report.applied.or_else(|| before?.applied),
            state: report.state,
            error: error.map(|error| error.chars().take(ERROR_CHARS).collect()),
            last_seen: now.wall,
            divergence: report.divergence.or(kept).unwrap_or_default(),
        };
        Self { record, seen: now.steady }
    }

    pub(super) fn restored(record: TerminalRecord, now: Moment) -> Self {
        let seen = now.steady_at(record.last_seen);
        Self { record, seen }
    }

    pub(super) fn lag(&self, name: &TerminalName, by: &Yardstick<'_>) -> TerminalLag {
        let record = &self.record;
        let foreign = record.lineage.filter(|lineage| *lineage != by.lineage);
        // A position in another history is none in this one.
        let applied = record.applied.filter(|_| foreign.is_none());
        // Without a position it lacks what it will be given: at most what the log holds.
        let from = applied.unwrap_or(by.horizon);
        let lag_bytes = by.head.bytes_since(from);
        let lag = by.lag_behind(from);
        let (state, error) = match foreign {
            Some(lineage) if by.succeeds.contains(&lineage) => (
                match self.state(Some(by.horizon), lag_bytes, lag, by) {
                    TerminalState::Ok => TerminalState::Behind,
                    state => state,
                },
                record.error.clone().or_else(|| Some(loads_anew(lineage, by.lineage))),
            ),
            Some(lineage) if record.state != TerminalState::Error => {
                (TerminalState::Error, Some(follows_another(lineage, by.lineage)))
            }
            _ => (self.state(applied, lag_bytes, lag, by), record.error.clone()),
        };
        TerminalLag {
            name: name.clone(),
            applied: record.applied,
            lag_bytes,
            lag_seconds: seconds(lag),
            last_seen: Some(rfc3339(record.last_seen)),
            state,
            error,
            divergence: record.divergence,
        }
    }

    fn state(
        &self,
        applied: Option<Lsn>,
        lag_bytes: u64,
        lag: SignedDuration,
        by: &Yardstick<'_>,
    ) -> TerminalState {
        match self.record.state {
            // Its own account, whatever the rest says: only it knows.
            TerminalState::Error => return TerminalState::Error,
            TerminalState::Loading => return TerminalState::Loading,
            TerminalState::Ok
            | TerminalState::Behind
            | TerminalState::Offline
            | TerminalState::Expired => {}
        }
        let limits = by.limits;
        match applied {
            None => TerminalState::Loading,
            Some(applied) if applied < by.horizon => TerminalState::Expired,
            _ if by.now.since(self.seen) > signed(limits.offline_after) => TerminalState::Offline,
            _ if lag > signed(limits.behind_after) || lag_bytes > limits.behind_bytes => {
                TerminalState::Behind
            }
            _ => TerminalState::Ok,
        }
    }
}

fn loads_anew(theirs: Lineage, ours: Lineage) -> String {
    format!(
        "it follows the lineage {theirs}, which ended; this log, {ours}, succeeds it: the terminal loads it anew at its next pull, by itself"
    )
}

fn follows_another(theirs: Lineage, ours: Lineage) -> String {
    format!(
        "it follows the lineage {theirs}, this log is {ours}: the source was begun anew since; give the terminal a new target, or empty this one and let it load again"
    )
}
