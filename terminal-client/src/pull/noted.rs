use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use wire::{Lsn, Relation};

use crate::target::{Named, Operation};

/// Relations kept.
const MAX_RELATIONS: usize = 10_000;

/// Tables of the stream that the target was told of in this run.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// By the relation's address, which its `Arc` keeps from being used again.
    relations: HashMap<usize, Arc<Relation>>,
}

impl Noted {
    /// A table has another name, or is made anew: all are told of again.
    pub(super) fn forget(&mut self) {
        self.relations.clear();
    }

    /// The tables that the target was not told of yet, each with the position of its first change.
    pub(super) fn first_changes(&mut self, operations: &[Operation]) -> Vec<(Named, Lsn)> {
        let mut first = Vec::new();
        for operation in operations {
            for relation in operation.change.relations() {
                if self.relations.len() >= MAX_RELATIONS {
                    self.relations.clear();
                }
                if let Entry::Vacant(place) = self.relations.entry(Arc::as_ptr(relation).addr()) {
                    place.insert(relation.clone());
                    first.push((Named::new(&relation.schema, &relation.name), operation.lsn));
                }
            }
        }
        first
    }
}
