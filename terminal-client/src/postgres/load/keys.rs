//! Keys and indexes of the tables that a first load made, by all of its connections.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Mutex, PoisonError},
};

use futures_util::future::try_join_all;
use wire::{Definitions, Snapshot, TableDefinition};

use super::{
    super::create::{attempt, make_keys, parent_of, run},
    Load, Place, record,
    rows::BEGIN_PART,
};
use crate::target::{LoadPoint, Named, TargetError};

/// Memory for sorting, KiB, of all connections together, where the server gives less: 256 MB.
const SORT_KIB: usize = 256 << 10;

/// A table, or a partitioned one with all below it: its keys are made together.
struct Group<'a> {
    top: Named,
    tables: Vec<&'a TableDefinition>,
    bytes: u64,
}

/// Does all of these, in order, each by the next connection that is free. The first that fails ends all.
pub(super) async fn by_all<'a, J: Send, F>(
    places: &[Place<'a>],
    jobs: impl IntoIterator<Item = J>,
    work: impl Fn(Place<'a>, J) -> F + Sync,
) -> Result<(), TargetError>
where
    F: Future<Output = Result<(), TargetError>> + Send,
{
    let jobs = Mutex::new(jobs.into_iter().collect::<VecDeque<J>>());
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (next, work) = (&next, &work);
    let all = places.iter().map(|place| async move {
        while let Some(job) = next() {
            work(*place, job).await?;
        }
        Ok(())
    });
    try_join_all(all).await.map(drop)
}

impl Load {
    /// Makes them, the largest tables first; each table's are committed with the record of it.
    pub(super) async fn make_keys(
        &self,
        places: &[Place<'_>],
        made: &[&TableDefinition],
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        let keyed = self.point.lock().await.keyed.clone();
        let mut groups = groups(made, snapshot);
        groups.retain(|group| !keyed.contains(&group.top));
        let sort_kib = SORT_KIB / places.len().min(groups.len()).max(1);
        let all = &snapshot.definitions;
        by_all(places, groups, |place, group| self.group(place, group, all, sort_kib)).await
    }

    async fn group(
        &self,
        place: Place<'_>,
        group: Group<'_>,
        all: &Definitions,
        sort_kib: usize,
    ) -> Result<(), TargetError> {
        let Place { target, client, .. } = place;
        run(target, client, "begin a transaction", BEGIN_PART).await?;
        // A server that can (14 and later) ends this soon after the program was killed, and its lock with it.
        drop(attempt(target, client, "SET LOCAL client_connection_check_interval = 2000").await?);
        run(target, client, "set the memory for sorting", &more_memory(sort_kib)).await?;
        make_keys(target, client, &group.tables, all).await?;
        let mut committed = self.point.lock().await;
        let mut point = LoadPoint::clone(&committed);
        point.keyed.push(group.top);
        record::advance(place, &committed, &point).await?;
        run(target, client, "commit keys and indexes", "COMMIT").await?;
        *committed = point;
        Ok(())
    }
}

fn more_memory(kib: usize) -> String {
    format!(
        "SELECT pg_catalog.set_config('maintenance_work_mem', '{kib}', true) FROM pg_catalog.pg_settings
        WHERE name = 'maintenance_work_mem' AND setting::bigint < {kib}"
    )
}

/// The largest first.
fn groups<'a>(made: &[&'a TableDefinition], snapshot: &'a Snapshot) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for table in made {
        let mut top = *table;
        while let Some(parent) = parent_of(top, &snapshot.definitions) {
            top = parent;
        }
        let top = Named::new(&top.schema, &top.name);
        let is_its =
            |of: &&wire::SnapshotTable| (&of.schema, &of.name) == (&table.schema, &table.name);
        let bytes = snapshot.tables.iter().find(is_its).map_or(0, |of| of.raw_len);
        match groups.iter_mut().find(|group| group.top == top) {
            Some(group) => {
                group.tables.push(table);
                group.bytes += bytes;
            }
            None => groups.push(Group { top, tables: vec![table], bytes }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.bytes));
    groups
}
