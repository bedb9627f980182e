use std::collections::VecDeque;

use wire::{Lsn, SliceHeader};

/// Spans kept. Reached again and again under load; each time the spans are thinned.
const MOST: usize = 4096;
/// Thinning joins spans while the time that they cover is at most this part of their age, so an
/// age told from a thinned span is wrong by less than two per cent …
const PRECISION: i64 = 64;
/// … or by this much, where they are young.
const FINE_US: i64 = 10_000;

/// Which positions committed when: a bounded index over what was appended since the relay started,
/// fine where it is young and coarse where it is old. The log itself could tell too, but only to
/// the closed range, which may be a day; and a look-up for each terminal and question costs.
#[derive(Clone, Debug, Default)]
pub(super) struct CommitTimes {
    /// In the log's order, not overlapping.
    spans: VecDeque<Span>,
}

/// The index does not reach back that far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BeforeIndex;

/// The commits in `(after, through]`; times in µs since 1970 (UTC), by the master's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    after: Lsn,
    through: Lsn,
    first_us: i64,
    last_us: i64,
}

impl CommitTimes {
    /// Adds a slice that the log has; what is known already is passed over. Of two appends in flight
    /// either may be told first.
    pub(super) fn add(&mut self, header: &SliceHeader) {
        let Some(commit) = header.commit else { return };
        let at = self.spans.partition_point(|span| span.through < commit.end);
        let earlier = at.checked_sub(1).and_then(|before| self.spans.get(before));
        let overlaps = earlier.is_some_and(|span| span.through > header.after)
            || self.spans.get(at).is_some_and(|span| span.after < commit.end);
        if overlaps || commit.end <= header.after {
            return;
        }
        let first_us =
            if header.first_commit_us == 0 { commit.time_us } else { header.first_commit_us };
        let span = Span {
            after: header.after,
            through: commit.end,
            first_us: first_us.min(commit.time_us),
            last_us: commit.time_us.max(first_us),
        };
        self.spans.insert(at, span);
        if self.spans.len() >= MOST {
            self.thin();
        }
    }

    /// Drops what no terminal can ask for any more.
    pub(super) fn trim(&mut self, horizon: Lsn) {
        while self.spans.front().is_some_and(|span| span.through <= horizon) {
            self.spans.pop_front();
        }
    }

    /// When the oldest commit behind `applied` was committed (none where there is no such commit);
    /// an error where that is from before the index began.
    pub(super) fn oldest_after(&self, applied: Lsn) -> Result<Option<i64>, BeforeIndex> {
        if self.spans.front().is_none_or(|first| applied < first.after) {
            return Err(BeforeIndex);
        }
        let at = self.spans.partition_point(|span| span.through <= applied);
        Ok(self.spans.get(at).map(|span| span.time_after(applied)))
    }

    fn thin(&mut self) {
        let newest_us = self.spans.back().map_or(0, |span| span.last_us);
        let mut kept: VecDeque<Span> = VecDeque::with_capacity(self.spans.len());
        for older in self.spans.drain(..).rev() {
            match kept.front_mut() {
                Some(span) if older.joined(*span).is_fine(newest_us) => *span = older.joined(*span),
                _ => kept.push_front(older),
            }
        }
        self.spans = kept;
        // Commit times that jump about can make every join too coarse; the bound holds all the same.
        if self.spans.len() > MOST / 4 * 3 {
            self.halve();
        }
    }

    fn halve(&mut self) {
        let spans: Vec<Span> = self.spans.drain(..).collect();
        let pairs = spans
            .chunks(2)
            .filter_map(|pair| pair.iter().copied().reduce(|older, younger| older.joined(younger)));
        self.spans = pairs.collect();
    }
}

impl Span {
    fn joined(self, younger: Self) -> Self {
        Self {
            after: self.after,
            through: younger.through,
            first_us: self.first_us.min(younger.first_us),
            last_us: self.last_us.max(younger.last_us),
        }
    }

    fn is_fine(&self, newest_us: i64) -> bool {
        let age_us = newest_us.saturating_sub(self.last_us);
        self.last_us.saturating_sub(self.first_us) <= FINE_US.max(age_us / PRECISION)
    }

    /// As if its commits were spread evenly over its bytes.
    fn time_after(&self, applied: Lsn) -> i64 {
        let passed = i128::from(applied.bytes_since(self.after));
        let whole = i128::from(self.through.bytes_since(self.after)).max(1);
        let spread = i128::from(self.last_us) - i128::from(self.first_us);
        let time_us = i128::from(self.first_us) + spread * passed / whole;
        i64::try_from(time_us).unwrap_or(self.last_us)
    }
}

#[cfg(test)]
pub(super) mod headers {
    use wire::{Commit, Hash, Lineage, SourceName};

    use super::*;

    /// A slice with a commit at its end, or without any.
    pub(crate) fn header(after: u64, through: u64, times_us: Option<(i64, i64)>) -> SliceHeader {
        let commit = times_us.map(|(_, time_us)| Commit {
            start: Lsn::new(through - 1),
            end: Lsn::new(through),
            xid: 1,
            time_us,
            digest: Hash::of(b""),
        });
        SliceHeader {
            source: SourceName::new("orders").unwrap(),
            lineage: Lineage::from_bytes([1; 16]),
            after: Lsn::new(after),
            through: Lsn::new(through),
            commit,
            transactions: u64::from(commit.is_some()),
            changes: 0,
            first_commit_us: times_us.map_or(0, |(first_us, _)| first_us),
            channel_map: None,
            channels: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{headers::header, *};

    #[test]
    fn finds_the_oldest_commit_that_is_lacking() {
        let mut times = CommitTimes::default();
        assert_eq!(times.oldest_after(Lsn::ZERO), Err(BeforeIndex));
        times.add(&header(100, 200, Some((1_000, 2_000))));
        times.add(&header(200, 250, None));
        times.add(&header(250, 300, Some((9_000, 9_000))));
        let at = |lsn| times.oldest_after(Lsn::new(lsn));
        assert_eq!(at(99), Err(BeforeIndex));
        assert_eq!(at(100), Ok(Some(1_000)));
        assert_eq!(at(150), Ok(Some(1_500)));
        assert_eq!(at(200), Ok(Some(9_000)));
        assert_eq!(at(250), Ok(Some(9_000)));
        assert_eq!(at(300), Ok(None));
        assert_eq!(at(400), Ok(None));
    }

    #[test]
    fn two_in_each_others_place_are_put_in_order() {
        let mut times = CommitTimes::default();
        times.add(&header(0, 100, Some((1, 1))));
        times.add(&header(200, 300, Some((3, 3))));
        times.add(&header(100, 200, Some((2, 2))));
        let told = [0, 100, 200].map(|lsn| times.oldest_after(Lsn::new(lsn)));
        assert_eq!(told, [Ok(Some(1)), Ok(Some(2)), Ok(Some(3))]);
    }

    #[test]
    fn repeats_are_passed_over_and_trimmed_history_is_dropped() {
        let mut times = CommitTimes::default();
        for _ in 0..2 {
            times.add(&header(0, 100, Some((1, 1))));
            times.add(&header(100, 200, Some((2, 2))));
        }
        assert_eq!(times.spans.len(), 2);
        times.trim(Lsn::new(150));
        assert_eq!(times.oldest_after(Lsn::new(100)), Ok(Some(2)));
        times.trim(Lsn::new(200));
        assert!(times.spans.is_empty());
    }

    #[test]
    fn a_week_of_busy_slices_stays_small_and_precise() {
        let mut times = CommitTimes::default();
        let (slices, apart_us) = (2_000_000_u64, 300_000);
        let time = |index: u64| 1_700_000_000_000_000 + i64::try_from(index).unwrap() * apart_us;
        for index in 0..slices {
            let (after, through) = (index * 10, (index + 1) * 10);
            times.add(&header(after, through, Some((time(index), time(index)))));
            assert!(times.spans.len() <= MOST);
        }
        for back in [0, 1, 2, 10, 100, 5_000, 100_000, 1_999_999] {
            let index = slices - 1 - back;
            let told = times.oldest_after(Lsn::new(index * 10)).unwrap().unwrap();
            let age = time(slices) - time(index);
            let off = (told - time(index)).abs();
            assert!(off <= age / 50 + FINE_US, "{back} back: off by {off} µs of {age}");
        }
    }

    proptest! {
        #[test]
        fn bounded_and_in_order_whatever_the_masters_clock_does(
            times_us in prop::collection::vec(any::<i64>(), MOST..MOST + 500)
        ) {
            let mut times = CommitTimes::default();
            for (index, time_us) in (0_u64..).zip(times_us) {
                times.add(&header(index * 10, index * 10 + 10, Some((time_us, time_us))));
                prop_assert!(times.spans.len() <= MOST);
            }
            let spans: Vec<Span> = times.spans.iter().copied().collect();
            prop_assert!(spans.windows(2).all(|pair| pair[0].through <= pair[1].after));
            prop_assert!(spans.iter().all(|span| span.after < span.through));
        }
    }
}
