//! Whether the master is about to drop WAL that the slot needs. Pure: looks at the slot and times in,
//! a severity and a text out.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use wire::Lsn;

use super::quantity::{size, time};
use crate::begin::SlotFacts;

/// The rate is an average over this long: the slot moves on in steps, which a shorter time would take
/// for a fall.
const WINDOW: Duration = Duration::from_secs(120);
/// No rate is told from less.
const LEAST: Duration = Duration::from_secs(10);
/// So far apart, looks are worth keeping: 120 of them at most.
const APART: Duration = Duration::from_secs(1);

const HOUR: u64 = 3600;
const TEN_MINUTES: u64 = 600;

/// How near the slot is to being lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Far from it.
    #[default]
    Fine,
    /// More than half of what the master keeps is used, and the rest within the hour; or three quarters.
    Warning,
    /// More than three quarters are used, and the rest within ten minutes; or nine tenths.
    Critical,
    /// The limit is passed: the master's next checkpoint takes it.
    Due,
}

/// The slot as it was at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) at: Instant,
    /// WAL that the slot holds back.
    pub(super) retained: u64,
    /// WAL that may still be written before the master drops some of that; none where it sets no limit.
    pub(super) room: Option<u64>,
    /// It is past the limit.
    pub(super) unreserved: bool,
    /// It holds back more than `max_wal_size`.
    pub(super) extended: bool,
}

impl Look {
    pub(super) fn new(at: Instant, position: Lsn, slot: &SlotFacts) -> Self {
        let status = slot.wal_status.as_deref();
        Self {
            at,
            retained: slot.restart_lsn.map_or(0, |restart| position.bytes_since(restart)),
            room: slot.safe_wal_size.map(|room| u64::try_from(room).unwrap_or(0)),
            unreserved: status == Some("unreserved"),
            extended: status == Some("extended"),
        }
    }
}

/// What a look means, beside those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) severity: Severity,
    /// Until the slot is lost at the present rate; none where that does not come nearer.
    pub(super) left: Option<Duration>,
    retained: u64,
    room: Option<u64>,
}

/// The looks of the last minutes.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    looks: VecDeque<(Instant, u64)>,
    severity: Severity,
}

impl Watch {
    /// Judges a look; whether the severity is another than at the one before.
    pub(super) fn see(&mut self, look: Look) -> (Health, bool) {
        let left = self.left(look);
        let strict = judge(look, left, 100);
        // It is over only when it would be so with a tenth to spare: else it comes and goes.
        let severity = match strict < self.severity {
            true => judge(look, left, 110).min(self.severity),
            false => strict,
        };
        let changed = std::mem::replace(&mut self.severity, severity) != severity;
        (Health { severity, left, retained: look.retained, room: look.room }, changed)
    }

    fn left(&mut self, look: Look) -> Option<Duration> {
        let Some(room) = look.room else {
            self.looks.clear();
            return None;
        };
        let age = |at: Instant| look.at.saturating_duration_since(at);
        while self.looks.front().is_some_and(|(at, _)| age(*at) > WINDOW) {
            self.looks.pop_front();
        }
        if self.looks.back().is_none_or(|(at, _)| age(*at) >= APART) {
            self.looks.push_back((look.at, room));
        }
        let (first, then) = *self.looks.front()?;
        let fell = then.checked_sub(room).filter(|fell| *fell > 0)?;
        let took = age(first);
        // In whole numbers, for a rate of next to nothing must not become an endless time.
        let left = u128::from(room) * took.as_millis() / u128::from(fell);
        let left = Duration::from_millis(u64::try_from(left).ok()?);
        (took >= LEAST).then_some(left)
    }
}

/// `ease` moves the bounds away from the danger, in hundredths.
fn judge(look: Look, left: Option<Duration>, ease: u64) -> Severity {
    let Some(room) = look.room else {
        return if look.unreserved {
            Severity::Due
        } else if look.extended {
            Severity::Warning
        } else {
            Severity::Fine
        };
    };
    if look.unreserved || room == 0 {
        return Severity::Due;
    }
    let all = u128::from(room) + u128::from(look.retained);
    let less_than =
        |hundredths: u64| u128::from(room) * 10_000 < all * u128::from(hundredths * ease);
    let within = |seconds: u64| left.is_some_and(|left| left.as_secs() * 100 < seconds * ease);
    if less_than(10) || (less_than(25) && within(TEN_MINUTES)) {
        Severity::Critical
    } else if less_than(25) || (less_than(50) && within(HOUR)) {
        Severity::Warning
    } else {
        Severity::Fine
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WHAT_TO_DO: &str = "What to do: let capture catch up (is the relay there? has a transaction been open for long?), or \
                                  raise max_slot_wal_keep_size and reload the configuration";
        let retained = size(self.retained);
        match (self.severity, self.room, self.left) {
            (Severity::Fine, Some(room), _) => {
                write!(f, "the slot is safe: {} left of max_slot_wal_keep_size", size(room))
            }
            (Severity::Fine, None, _) => write!(f, "the slot holds back {retained} of WAL"),
            (Severity::Due, ..) => write!(
                f,
                "the master drops the slot's WAL at its next checkpoint: nothing is left of max_slot_wal_keep_size, {retained} are \
                 held back. {WHAT_TO_DO}"
            ),
            (_, Some(room), Some(left)) => write!(
                f,
                "the master drops the slot's WAL in about {} at the present rate: {} left of max_slot_wal_keep_size. {WHAT_TO_DO}",
                time(left),
                size(room)
            ),
            (_, Some(room), None) => write!(
                f,
                "the master drops the slot's WAL once {} more are written: that is left of max_slot_wal_keep_size. {WHAT_TO_DO}",
                size(room)
            ),
            (_, None, _) => write!(
                f,
                "the slot holds back {retained} of WAL, more than max_wal_size, and max_slot_wal_keep_size sets no limit: the master's \
                 disk fills. What to do: let capture catch up (is the relay there? has a transaction been open for long?), or set a limit"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
