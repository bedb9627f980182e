//! Sums over rows that do not depend on their order.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// A count of rows and a sum of their 128-bit hashes: equal for equal multisets of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: u128,
}

impl Digest {
    pub(super) fn add(&mut self, row: &str) {
        let half = |side: u8| {
            let mut hasher = DefaultHasher::new();
            (side, row).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        self.rows += 1;
        self.sum = self.sum.wrapping_add(half(0) << 64 | half(1));
    }
}

/// Rows with how often each is there; for looking up what differs.
#[derive(Debug, Default)]
pub(super) struct Rows(HashMap<String, i64>);

impl Rows {
    pub(super) fn add(&mut self, row: String) {
        *self.0.entry(row).or_default() += 1;
    }

    /// The first rows, sorted, that `self` has more often than `other`.
    pub(super) fn only_here(&self, other: &Self, limit: usize) -> Vec<String> {
        let more =
            |(row, count): &(&String, &i64)| **count > other.0.get(*row).copied().unwrap_or(0);
        let mut rows: Vec<&String> = self.0.iter().filter(more).map(|(row, _)| row).collect();
        rows.sort();
        rows.into_iter().take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&str]) -> Digest {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(row));
        digest
    }

    #[test]
    fn order_is_nothing_number_is_all() {
        assert_eq!(digest(&["a", "b", "c"]), digest(&["c", "a", "b"]));
        assert_ne!(digest(&["a", "a"]), digest(&["b", "b"]));
        assert_ne!(digest(&["a", "a", "b"]), digest(&["a", "b", "b"]));
    }

    #[test]
    fn finds_rows_that_are_there_once_too_often() {
        let rows = |list: &[&str]| {
            let mut rows = Rows::default();
            list.iter().for_each(|row| rows.add((*row).to_owned()));
            rows
        };
        let (left, right) = (rows(&["a", "a", "b"]), rows(&["a", "b", "c"]));
        assert_eq!(left.only_here(&right, 9), ["a"]);
        assert_eq!(right.only_here(&left, 9), ["c"]);
    }
}
