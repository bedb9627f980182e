use std::{collections::HashMap, sync::Arc};

use wire::{Relation, RelationId};

/// More definitions than this are not kept from range to range; what uses them keeps them itself.
const MAX_KEPT: usize = 10_000;

/// Every definition met so far, so that one definition is one `Arc` however often it comes.
#[derive(Debug, Default)]
pub struct Relations {
    known: HashMap<RelationId, Arc<Relation>>,
}

impl Relations {
    pub(super) fn learn(&mut self, relation: Relation) {
        self.known.entry(relation.id()).or_insert_with(|| Arc::new(relation));
    }

    pub(super) fn known(&self) -> &HashMap<RelationId, Arc<Relation>> {
        &self.known
    }

    /// Called between ranges, each of which carries the definitions that it uses.
    pub(super) fn between_ranges(&mut self) {
        if self.known.len() > MAX_KEPT {
            self.known.clear();
        }
    }
}
