use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// One instant on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What a wall clock shows. It may jump, in both directions.
    pub wall: Timestamp,
    /// Time since the relay's start, which only ever grows. Silence is measured by it.
    pub steady: SignedDuration,
}

impl Moment {
    /// Time since `earlier`, a steady time; never negative.
    pub(super) fn since(self, earlier: SignedDuration) -> SignedDuration {
        self.steady.saturating_sub(earlier).max(SignedDuration::ZERO)
    }

    /// The steady time that was at `wall`, which another run of the relay has noted; at the latest now.
    pub(super) fn steady_at(self, wall: Timestamp) -> SignedDuration {
        let passed = self.wall.duration_since(wall).max(SignedDuration::ZERO);
        self.steady.saturating_sub(passed)
    }

    /// Age of a commit, whose time is by the master's clock (µs since 1970, UTC); never negative.
    pub(super) fn age_of_us(self, commit_us: i64) -> SignedDuration {
        let age_us = self.wall.as_microsecond().saturating_sub(commit_us);
        SignedDuration::from_micros(age_us.max(0))
    }
}

/// The real clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts it: its steady time begins at zero.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        Moment { wall: Timestamp::now(), steady: signed(self.started.elapsed()) }
    }
}

/// Seconds with milliseconds, as the lag tells them.
pub(super) fn seconds(duration: SignedDuration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// RFC 3339 with milliseconds.
pub(super) fn rfc3339(time: Timestamp) -> String {
    time.round(jiff::Unit::Millisecond).unwrap_or(time).to_string()
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
pub(super) mod made {
    use super::*;

    /// A clock whose wall time can be set.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct MadeClock(pub(crate) Moment);

    impl MadeClock {
        /// 2026-01-01, an hour after the relay's start.
        pub(crate) fn new() -> Self {
            let wall = Timestamp::from_second(1_767_225_600).unwrap();
            Self(Moment { wall, steady: SignedDuration::from_hours(1) })
        }

        /// Time passes.
        pub(crate) fn pass(&mut self, secs: i64) -> Moment {
            self.0.steady += SignedDuration::from_secs(secs);
            self.jump(secs)
        }

        /// Somebody sets the wall clock.
        pub(crate) fn jump(&mut self, secs: i64) -> Moment {
            self.0.wall += SignedDuration::from_secs(secs);
            self.0
        }
    }
}
