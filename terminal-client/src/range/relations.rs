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

#[cfg(test)]
mod tests {
    use wire::ReplicaIdentity;

    use super::*;

    #[test]
    fn definitions_do_not_pile_up_from_range_to_range() {
        let mut relations = Relations::default();
        let mut learn = |oid| {
            relations.learn(Relation {
                oid,
                schema: "s".into(),
                name: "t".into(),
                identity: ReplicaIdentity::Default,
                columns: Vec::new(),
            });
            relations.between_ranges();
            relations.known().len()
        };
        let most = (0..3 * u32::try_from(MAX_KEPT).unwrap()).map(&mut learn).max();
        assert_eq!(most, Some(MAX_KEPT));
    }
}
