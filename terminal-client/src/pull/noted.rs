use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use wire::{Lsn, Relation, SourceName};

use super::error::PullError;
use crate::target::{KnownTable, Named, Operation, Target, TargetError};

/// Relations kept.
const MAX_RELATIONS: usize = 10_000;

/// Tables of the stream that the target was told of in this run.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// By the relation's address, which its `Arc` keeps from being used again.
    relations: HashMap<usize, Arc<Relation>>,
    /// What the target knows of the stream's tables, once it was asked.
    known: Option<HashMap<u32, KnownTable>>,
}

impl Noted {
    /// A table has another name, or is made anew: all are told of again.
    pub(super) fn forget(&mut self) {
        self.relations.clear();
        self.known = None;
    }

    /// Tells the target of definitions that it was not told of yet, in the open transaction: it stops before
    /// those that its tables cannot take. Not of tables that are `absent`.
    pub(super) async fn meet<T: Target>(
        &mut self,
        target: &mut T,
        source: &SourceName,
        operations: &[Operation],
        absent: impl Fn(u32) -> bool,
    ) -> Result<(), PullError> {
        let first = self.first_changes(operations);
        if first.is_empty() {
            return Ok(());
        }
        let mut known = match self.known.take() {
            Some(known) => known,
            None => target.known_tables(source).await?,
        };
        for (relation, lsn) in first.iter().filter(|(relation, _)| !absent(relation.oid)) {
            let now = KnownTable::of_relation(relation);
            let before = known.get(&relation.oid);
            if before != Some(&now) {
                let met = target.meet(source, before, relation).await;
                met.map_err(|error| match error {
                    error @ TargetError::Table { .. } => PullError::Stopped { lsn: *lsn, error },
                    error => error.into(),
                })?;
                known.insert(relation.oid, now);
            }
        }
        self.known = Some(known);
        let named = first
            .iter()
            .map(|(of, lsn)| (Named::new(&of.schema, &of.name), *lsn))
            .collect::<Vec<_>>();
        Ok(target.note_tables(source, &named).await?)
    }

    /// The definitions that the target was not told of yet, each with the position of its first change.
    fn first_changes(&mut self, operations: &[Operation]) -> Vec<(Arc<Relation>, Lsn)> {
        let mut first = Vec::new();
        for operation in operations {
            for relation in operation.change.relations() {
                if self.relations.len() >= MAX_RELATIONS {
                    self.relations.clear();
                }
                if let Entry::Vacant(place) = self.relations.entry(Arc::as_ptr(relation).addr()) {
                    place.insert(relation.clone());
                    first.push((relation.clone(), operation.lsn));
                }
            }
        }
        first
    }
}
