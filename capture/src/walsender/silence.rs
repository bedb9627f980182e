use std::time::Duration;

use tokio::time::Instant;

/// When the deadline has passed on arrival (the caller was away), the runtime still gets this long to
/// look at the socket.
const GRACE: Duration = Duration::from_millis(50);

/// Decides when a peer that says nothing is dead: after half of the limit it is asked for a sign, after
/// another half without one it is given up. Time in which nobody listened does not count.
#[derive(Debug)]
pub(super) struct Silence {
    half: Duration,
    since: Option<Instant>,
    asked: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask for a sign of life, and go on listening.
    Ask,
    /// It was asked, and gave none.
    Dead,
}

impl Silence {
    pub(super) fn new(limit: Duration) -> Self {
        Self { half: limit / 2, since: None, asked: false }
    }

    /// Bytes came.
    pub(super) fn heard(&mut self) {
        self.since = None;
        self.asked = false;
    }

    /// Until when to listen. Call it each time before listening.
    pub(super) fn deadline(&mut self, now: Instant) -> Instant {
        let since = *self.since.get_or_insert(now);
        (since + self.half).max(now + GRACE)
    }

    /// The deadline passed without a byte.
    pub(super) fn expired(&mut self, now: Instant) -> Verdict {
        if self.asked {
            return Verdict::Dead;
        }
        self.asked = true;
        self.since = Some(now);
        Verdict::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_silent_peer_is_asked_once_and_then_given_up() {
        let mut silence = Silence::new(60 * SECOND);
        let start = Instant::now();
        assert_eq!(silence.deadline(start), start + 30 * SECOND);
        assert_eq!(
            silence.deadline(start + 10 * SECOND),
            start + 30 * SECOND,
            "a wait that was given up counts"
        );
        assert_eq!(silence.expired(start + 30 * SECOND), Verdict::Ask);
        assert_eq!(silence.deadline(start + 31 * SECOND), start + 60 * SECOND);
        assert_eq!(silence.expired(start + 60 * SECOND), Verdict::Dead);
    }

    #[test]
    fn a_sign_of_life_starts_it_over() {
        let mut silence = Silence::new(60 * SECOND);
        let start = Instant::now();
        silence.deadline(start);
        assert_eq!(silence.expired(start + 30 * SECOND), Verdict::Ask);
        silence.heard();
        assert_eq!(silence.deadline(start + 40 * SECOND), start + 70 * SECOND);
        assert_eq!(silence.expired(start + 70 * SECOND), Verdict::Ask);
    }

    #[test]
    fn a_listener_that_was_away_looks_before_it_judges() {
        let mut silence = Silence::new(60 * SECOND);
        let start = Instant::now();
        silence.deadline(start);
        assert_eq!(silence.deadline(start + 600 * SECOND), start + 600 * SECOND + GRACE);
    }
}
