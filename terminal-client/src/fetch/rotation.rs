use std::time::{Duration, Instant};

/// Vain attempts at a preferred relay after which the time to the next one grows no more.
const MOST_DOUBLINGS: u32 = 4;

/// Which relay comes next: a list in order of preference, one of them in use. Pure; the clock is
/// handed in.
#[derive(Debug)]
pub(super) struct Rotation {
    /// Until when each relay is to be left alone.
    held_until: Vec<Option<Instant>>,
    in_use: usize,
    prefer_again: Duration,
    prefer_at: Option<Instant>,
    vain: u32,
}

impl Rotation {
    /// Over so many relays; the first is preferred.
    pub(super) fn new(relays: usize, prefer_again: Duration) -> Self {
        Self { held_until: vec![None; relays], in_use: 0, prefer_again, prefer_at: None, vain: 0 }
    }

    /// The relays to try now, in order: the one in use (or the first again, when it is time), then
    /// the others. Empty where all are to be left alone.
    pub(super) fn round(&mut self, now: Instant) -> Vec<usize> {
        let mut first = self.in_use;
        if self.prefer_at.is_some_and(|at| at <= now) {
            first = 0;
            self.vain = self.vain.saturating_add(1).min(MOST_DOUBLINGS);
            self.prefer_at = Some(self.next_preference(now));
        }
        let others = (0..self.held_until.len()).filter(|relay| *relay != first);
        std::iter::once(first).chain(others).filter(|relay| self.is_free(*relay, now)).collect()
    }

    /// When the first relay of those left alone may be asked; none where one may be asked now.
    pub(super) fn next_free(&self, now: Instant) -> Option<Instant> {
        if (0..self.held_until.len()).any(|relay| self.is_free(relay, now)) {
            return None;
        }
        self.held_until.iter().flatten().min().copied()
    }

    /// A relay gave what was asked. Whether it is another than before.
    pub(super) fn worked(&mut self, relay: usize, now: Instant) -> bool {
        let changed = std::mem::replace(&mut self.in_use, relay) != relay;
        if relay == 0 {
            (self.prefer_at, self.vain) = (None, 0);
        } else if self.prefer_at.is_none() {
            self.prefer_at = Some(self.next_preference(now));
        }
        changed
    }

    /// A relay failed; it is left alone for `hold`, or longer where that was said before.
    pub(super) fn hold(&mut self, relay: usize, now: Instant, hold: Duration) {
        for held in self.held_until.iter_mut().skip(relay).take(1) {
            *held = (*held).max(now.checked_add(hold));
        }
    }

    /// Whether a relay is to be left alone now.
    pub(super) fn is_held(&self, relay: usize, now: Instant) -> bool {
        !self.is_free(relay, now)
    }

    /// The relay in use.
    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    fn is_free(&self, relay: usize, now: Instant) -> bool {
        self.held_until.get(relay).is_some_and(|held| held.is_none_or(|until| until <= now))
    }

    fn next_preference(&self, now: Instant) -> Instant {
        now.checked_add(self.prefer_again.saturating_mul(1 << self.vain)).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rotation() -> (Rotation, Instant) {
        (Rotation::new(3, 60 * SECOND), Instant::now())
    }

    #[test]
    fn stays_with_the_one_that_works_and_comes_back_to_the_first() {
        let (mut rotation, now) = rotation();
        assert_eq!(rotation.round(now), [0, 1, 2]);
        assert!(rotation.worked(2, now));
        assert!(!rotation.worked(2, now));
        assert_eq!(rotation.round(now + 59 * SECOND), [2, 0, 1]);
        assert_eq!(rotation.round(now + 60 * SECOND), [0, 1, 2]);
        // In vain: the next time is later.
        rotation.worked(2, now + 60 * SECOND);
        assert_eq!(rotation.round(now + 179 * SECOND), [2, 0, 1]);
        assert_eq!(rotation.round(now + 180 * SECOND), [0, 1, 2]);
        assert!(rotation.worked(0, now + 180 * SECOND));
        assert_eq!(rotation.round(now + 9999 * SECOND), [0, 1, 2]);
    }

    #[test]
    fn one_that_asked_to_be_left_alone_is() {
        let (mut rotation, now) = rotation();
        rotation.hold(0, now, 5 * SECOND);
        assert_eq!(rotation.round(now), [1, 2]);
        assert_eq!(rotation.next_free(now), None);
        rotation.hold(1, now, 3 * SECOND);
        rotation.hold(2, now, 4 * SECOND);
        assert!(rotation.round(now).is_empty());
        assert_eq!(rotation.next_free(now), Some(now + 3 * SECOND));
        // What it was asked before it said so, it may still answer; and nothing shortens its wish.
        assert!(rotation.worked(1, now + SECOND));
        rotation.hold(1, now, SECOND);
        assert_eq!(rotation.next_free(now + SECOND), Some(now + 3 * SECOND));
        assert!(rotation.worked(0, now + SECOND));
        assert_eq!(rotation.round(now + 3 * SECOND), [1]);
        assert_eq!(rotation.round(now + 5 * SECOND), [0, 1, 2]);
    }
}
