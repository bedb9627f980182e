use std::sync::{Mutex, PoisonError};

use wire::{Snapshot, SnapshotTable, TableDefinition};

use super::{super::create::analyze, Load, Place, count::count, keys::by_all};
use crate::target::{TargetError, wrong_count};

/// What can be done to one table while others are done to others.
enum Look<'a> {
    Count(&'a SnapshotTable),
    Analyze(&'a TableDefinition),
}

impl Load {
    /// Has the tables analyzed, and gives the error of the first that does not hold the load's rows.
    pub(super) async fn prove(
        &self,
        places: &[Place<'_>],
        snapshot: &Snapshot,
        analyzed: &[&TableDefinition],
    ) -> Result<Option<TargetError>, TargetError> {
        let counts = Mutex::new(vec![None; snapshot.tables.len()]);
        let counts = &counts;
        let mut looks: Vec<(usize, Look<'_>)> =
            snapshot.tables.iter().map(Look::Count).enumerate().collect();
        looks.extend(analyzed.iter().map(|table| (0, Look::Analyze(table))));
        by_all(places, looks, |place, (at, look)| async move {
            match look {
                Look::Analyze(table) => analyze(place.target, place.client, table).await,
                Look::Count(table) => {
                    let rows = count(place, &self.destination(table)).await?;
                    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(counted) = counts.get_mut(at) {
                        *counted = Some(rows);
                    }
                    Ok(())
                }
            }
        })
        .await?;
        let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = snapshot.tables.iter().zip(counts.iter().copied());
        let target = places.first().map_or("", |place| place.target);
        Ok(counted.filter_map(|(table, rows)| wrong_count(target, &self.plan, table, rows?)).next())
    }
}
