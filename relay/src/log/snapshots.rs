//! Which snapshots are kept: the newest two that terminals may take, and older ones while somebody
//! fetches them.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use wire::{Hash, Lsn};

use super::{
    catalog::{Catalog, Changes, Upload, UploadKind},
    error::StoreError,
};

/// So many are kept in any case.
const KEPT: usize = 2;
/// More than these are not kept, and terminals are not offered more.
pub(crate) const MOST_SNAPSHOTS: usize = 4;
/// A load asks for its next object sooner than this.
const FETCHED_WITHIN: Duration = Duration::from_secs(3600);
/// Positions that are remembered at most; a reader can name any.
const MOST_FETCHED: usize = 16;

/// When objects of snapshots were last fetched: in memory, so that after a start nothing is known to be
/// in use.
#[derive(Debug, Default)]
pub(crate) struct Fetched(Mutex<BTreeMap<Lsn, Instant>>);

impl Fetched {
    /// Somebody fetches an object of the snapshot at `lsn`.
    pub(crate) fn note(&self, lsn: Lsn, now: Instant) {
        let mut fetched = self.lock();
        fetched.retain(|_, at| now.duration_since(*at) < FETCHED_WITHIN);
        if fetched.len() < MOST_FETCHED || fetched.contains_key(&lsn) {
            fetched.insert(lsn, now);
        }
    }

    fn recently(&self, now: Instant) -> BTreeSet<Lsn> {
        let fetched = self.lock();
        let recent = fetched.iter().filter(|(_, at)| now.duration_since(**at) < FETCHED_WITHIN);
        recent.map(|(lsn, _)| *lsn).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Lsn, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the snapshots (oldest first) go, the log being at `head`.
fn surplus(positions: &[Lsn], head: Lsn, in_use: &BTreeSet<Lsn>) -> Vec<Lsn> {
    let visible = positions.iter().filter(|lsn| **lsn <= head).rev();
    let old = visible.enumerate().skip(KEPT);
    old.filter(|(place, lsn)| *place >= MOST_SNAPSHOTS || !in_use.contains(lsn))
        .map(|(_, lsn)| *lsn)
        .collect()
}

/// Takes surplus snapshots off the list; their objects become orphans by the same write. Returns how
/// many.
pub(super) fn drop_surplus(
    catalog: &Catalog,
    head: Lsn,
    fetched: &Fetched,
) -> Result<usize, StoreError> {
    let positions = catalog.snapshot_positions()?;
    let surplus = surplus(&positions, head, &fetched.recently(Instant::now()));
    let mut changes = Changes::new();
    let orphan = Upload { kind: UploadKind::Snapshot, session: 0 };
    for lsn in &surplus {
        let Some(snapshot) = catalog.snapshot(*lsn)? else { continue };
        for object in snapshot.tables.iter().flat_map(|table| &table.objects) {
            changes.upload(object.name, orphan)?;
        }
        changes.forget_snapshot(*lsn);
    }
    catalog.write(changes)?;
    Ok(surplus.len())
}

/// The names of all objects that snapshots refer to.
pub(super) fn references(catalog: &Catalog) -> Result<HashSet<Hash>, StoreError> {
    let mut names = HashSet::new();
    for lsn in catalog.snapshot_positions()? {
        let snapshot = catalog.snapshot(lsn)?;
        let tables = snapshot.iter().flat_map(|snapshot| &snapshot.tables);
        names.extend(tables.flat_map(|table| &table.objects).map(|object| object.name));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(positions: &[u64]) -> Vec<Lsn> {
        positions.iter().copied().map(Lsn::new).collect()
    }

    #[test]
    fn two_are_kept_and_those_in_use_and_those_to_come() {
        let dropped = |positions: &[u64], in_use: &[u64]| {
            let in_use = at(in_use).into_iter().collect();
            surplus(&at(positions), Lsn::new(100), &in_use)
        };
        assert_eq!(dropped(&[10, 20], &[]), []);
        assert_eq!(dropped(&[10, 20, 100], &[]), at(&[10]));
        assert_eq!(dropped(&[10, 20, 101], &[]), [], "the newest cannot be taken yet");
        assert_eq!(dropped(&[10, 20, 30, 40], &[10]), at(&[20]));
        assert_eq!(dropped(&[10, 20, 30, 40, 50], &[10, 20]), at(&[30, 10]));
    }

    #[test]
    fn what_is_fetched_is_remembered_for_a_while_and_not_without_bound() {
        let fetched = Fetched::default();
        let now = Instant::now();
        (1..=100).for_each(|lsn| fetched.note(Lsn::new(lsn), now));
        assert_eq!(fetched.recently(now).len(), MOST_FETCHED);
        assert!(fetched.recently(now + FETCHED_WITHIN).is_empty());
        fetched.note(Lsn::new(1000), now + FETCHED_WITHIN);
        assert_eq!(fetched.recently(now + FETCHED_WITHIN), at(&[1000]).into_iter().collect());
    }
}
