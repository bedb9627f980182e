use std::collections::VecDeque;

use jiff::SignedDuration;
use wire::Lsn;

const MOST: usize = 256;

/// Which positions the master was seen at that the log has not reached yet, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct MasterSeen {
    /// Rising in both; when as steady time.
    points: VecDeque<(Lsn, SignedDuration)>,
}

impl MasterSeen {
    /// The master is at `lsn` now.
    pub(super) fn see(&mut self, lsn: Lsn, now: SignedDuration) {
        match self.points.back() {
            Some((last, _)) if *last == lsn => return,
            // Another history: what was seen before says nothing of this one.
            Some((last, _)) if *last > lsn => self.points.clear(),
            _ => {}
        }
        if self.points.len() >= MOST {
            // The first point is the one that tells how long; between the others, fewer will do.
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        self.points.push_back((lsn, now));
    }

    /// The log has come up to `head`.
    pub(super) fn reached(&mut self, head: Lsn) {
        while self.points.front().is_some_and(|(lsn, _)| *lsn <= head) {
            self.points.pop_front();
        }
    }

    /// Since when the master is known to be past `head`.
    pub(super) fn past(&self, head: Lsn) -> Option<SignedDuration> {
        self.points.iter().find(|(lsn, _)| *lsn > head).map(|(_, when)| *when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> SignedDuration {
        SignedDuration::from_secs(secs)
    }

    #[test]
    fn tells_since_when_the_head_is_behind() {
        let mut seen = MasterSeen::default();
        assert_eq!(seen.past(Lsn::ZERO), None);
        for (lsn, secs) in [(100, 1), (100, 2), (200, 3), (300, 4)] {
            seen.see(Lsn::new(lsn), at(secs));
        }
        assert_eq!(seen.past(Lsn::new(50)), Some(at(1)));
        assert_eq!(seen.past(Lsn::new(100)), Some(at(3)));
        assert_eq!(seen.past(Lsn::new(300)), None);
        seen.reached(Lsn::new(200));
        assert_eq!(seen.past(Lsn::new(50)), Some(at(4)));
        // A restored backup.
        seen.see(Lsn::new(20), at(9));
        assert_eq!(seen.past(Lsn::new(10)), Some(at(9)));
    }

    #[test]
    fn stays_small_and_keeps_the_first() {
        let mut seen = MasterSeen::default();
        for n in 1..100_000 {
            seen.see(Lsn::new(n), at(i64::try_from(n).unwrap()));
            assert!(seen.points.len() <= MOST);
        }
        assert_eq!(seen.past(Lsn::ZERO), Some(at(1)));
    }
}
