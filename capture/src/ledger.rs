//! What the slot may be told: never past what the relay has on disk, and one known commit behind.

use std::collections::VecDeque;

use wire::Lsn;

/// Keeps the slices that are on their way, and decides what is acknowledged to the slot.
///
/// The slot is told the **start** of the newest durable commit record. The server leaves out only
/// commits whose record begins before the slot's position (`SnapBuildXactNeedsSkip`), so after a
/// restart that transaction comes once more and proves that the master is the one the log knows.
#[derive(Debug)]
pub struct Ledger {
    durable: Lsn,
    acknowledged: Lsn,
    under_way: VecDeque<Sent>,
    /// No commit will come: mere progress is acknowledged.
    lenient: bool,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    through: Lsn,
    commit_start: Option<Lsn>,
}

impl Ledger {
    /// `durable` is the relay's head, `confirmed` the slot's position.
    pub fn new(durable: Lsn, confirmed: Lsn) -> Self {
        Self { durable, acknowledged: confirmed, under_way: VecDeque::new(), lenient: false }
    }

    /// A slice was made that ends at `through`; `commit_start` is where its last commit record
    /// begins, none for mere progress. Call it in the order of the slices.
    pub fn sent(&mut self, through: Lsn, commit_start: Option<Lsn>) {
        self.under_way.push_back(Sent { through, commit_start });
    }

    /// The relay has everything up to `position` on disk. Returns the slot's new position, if it moves.
    pub fn durable(&mut self, position: Lsn) -> Option<Lsn> {
        self.durable = self.durable.max(position);
        let mut newest = None;
        while let Some(sent) = self.under_way.front().filter(|sent| sent.through <= self.durable) {
            newest = sent.commit_start.or(newest);
            if sent.commit_start.is_some() {
                self.lenient = false;
            }
            self.under_way.pop_front();
        }
        let progress = if self.lenient { Some(self.durable) } else { None };
        self.advance(newest.max(progress))
    }

    /// The log's newest commit, whose record begins at `start`, came again: the slot may stand there.
    /// Returns the slot's new position, if it moves.
    pub fn known_again(&mut self, start: Lsn) -> Option<Lsn> {
        self.advance(Some(start))
    }

    /// No commit can be had to know the master by, so the slot may follow mere progress, until the
    /// next commit. Returns the slot's new position, if it moves.
    pub fn follow_progress(&mut self) -> Option<Lsn> {
        if !self.under_way.is_empty() {
            return None;
        }
        self.lenient = true;
        self.advance(Some(self.durable))
    }

    /// Whether the slot was let past the newest commit.
    pub fn is_lenient(&self) -> bool {
        self.lenient
    }

    /// What the relay has on disk.
    pub fn durable_position(&self) -> Lsn {
        self.durable
    }

    /// What the slot was told.
    pub fn acknowledged(&self) -> Lsn {
        self.acknowledged
    }

    /// Whether everything that was sent is durable.
    pub fn is_settled(&self) -> bool {
        self.under_way.is_empty()
    }

    fn advance(&mut self, to: Option<Lsn>) -> Option<Lsn> {
        // A commit record lies before the commit's end, so this holds by itself; it is the one
        // promise that must never break, so it is not left to that.
        let to = to?.min(self.durable);
        (to > self.acknowledged).then(|| {
            self.acknowledged = to;
            to
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(bytes: u64) -> Lsn {
        Lsn::new(bytes)
    }

    #[test]
    fn one_known_commit_behind() {
        let mut ledger = Ledger::new(at(100), at(100));
        ledger.sent(at(210), Some(at(200)));
        ledger.sent(at(310), Some(at(300)));
        assert_eq!(ledger.durable(at(150)), None);
        assert_eq!(ledger.durable(at(210)), Some(at(200)));
        assert_eq!(ledger.durable(at(310)), Some(at(300)), "the start, so that it comes again");
        ledger.sent(at(400), None);
        assert_eq!(ledger.durable(at(400)), None, "progress is no commit");
        assert_eq!(ledger.acknowledged(), at(300));
        assert!(ledger.is_settled());
    }

    #[test]
    fn a_slot_left_behind_follows_to_the_known_commit() {
        let mut ledger = Ledger::new(at(500), at(100));
        assert_eq!(ledger.known_again(at(300)), Some(at(300)));
        assert_eq!(ledger.known_again(at(300)), None);
    }

    #[test]
    fn whatever_comes_again_the_slot_stays_at_what_is_durable() {
        let mut ledger = Ledger::new(at(500), at(100));
        assert_eq!(ledger.known_again(at(900)), Some(at(500)));
        assert_eq!(ledger.acknowledged(), at(500));
    }

    #[test]
    fn progress_counts_where_no_commit_can_be_had() {
        let mut ledger = Ledger::new(at(100), at(100));
        ledger.sent(at(400), None);
        assert_eq!(ledger.follow_progress(), None, "it is not durable yet");
        ledger.durable(at(400));
        assert_eq!(ledger.follow_progress(), Some(at(400)));
        ledger.sent(at(500), None);
        assert_eq!(ledger.durable(at(500)), Some(at(500)));
        ledger.sent(at(610), Some(at(600)));
        assert_eq!(ledger.durable(at(610)), Some(at(600)));
        assert!(!ledger.is_lenient());
    }

    proptest! {
        /// Whatever happens, in whatever order: never past what is durable, never back.
        #[test]
        fn never_past_what_is_durable(
            events in prop::collection::vec((0_u8..4, 1_u64..50, any::<bool>()), 1..200)
        ) {
            let mut ledger = Ledger::new(at(1000), at(900));
            let (mut sent, mut last_end, mut durable, mut told) = (1000, 1000, 1000, at(900));
            for (kind, step, commit) in events {
                let news = match kind {
                    0 | 1 => {
                        sent += 20 + step;
                        if commit { last_end = sent; }
                        ledger.sent(at(sent), commit.then(|| at(sent - 15)));
                        None
                    }
                    2 => {
                        durable = (durable + step * 7).min(sent);
                        ledger.durable(at(durable))
                    }
                    _ => ledger.follow_progress(),
                };
                if let Some(news) = news {
                    prop_assert!(news > told);
                    told = news;
                }
                prop_assert!(told <= at(durable));
                prop_assert_eq!(told, ledger.acknowledged());
                prop_assert!(ledger.is_lenient() || told < at(last_end.min(durable)) || told == at(900));
            }
        }
    }
}
