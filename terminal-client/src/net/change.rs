use std::sync::Arc;

use wire::{Change, OldRow, Relation, Tuple, Value};

use super::{effect::NetTable, identity::Identity, row::Row};

impl NetTable<'_> {
    /// What the changes come to as changes of one row each, in the order in which they are to be applied.
    pub fn changes(&self) -> impl Iterator<Item = Change<Arc<Relation>>> {
        let deletes = self.deletes.iter().map(|old| self.delete(old));
        let updates = self.updates.iter().map(|of| self.update(&of.old, &of.new));
        deletes.chain(updates).chain(self.inserts.iter().map(|new| self.insert(new)))
    }

    /// That a row is gone.
    pub fn delete(&self, old: &Row<'_>) -> Change<Arc<Relation>> {
        Change::Delete { relation: self.relation.clone(), old: self.old(old) }
    }

    /// That a row is changed.
    pub fn update(&self, old: &Row<'_>, new: &Row<'_>) -> Change<Arc<Relation>> {
        let same_key = match &self.identity {
            Identity::Columns(places) => {
                places.iter().zip(old).all(|(place, old)| new.get(*place) == Some(old))
            }
            Identity::Whole => false,
        };
        let old = (!same_key).then(|| self.old(old));
        Change::Update { relation: self.relation.clone(), old, new: tuple(new) }
    }

    /// That a row is there.
    pub fn insert(&self, new: &Row<'_>) -> Change<Arc<Relation>> {
        Change::Insert { relation: self.relation.clone(), new: tuple(new) }
    }

    fn old(&self, row: &Row<'_>) -> OldRow {
        let Identity::Columns(places) = &self.identity else { return OldRow::Full(tuple(row)) };
        let mut old = vec![Value::Null; self.relation.columns.len()];
        for (place, value) in places.iter().zip(row) {
            if let Some(of) = old.get_mut(*place) {
                *of = (*value).clone();
            }
        }
        OldRow::Key(old)
    }
}

fn tuple(row: &Row<'_>) -> Tuple {
    row.iter().map(|value| (*value).clone()).collect()
}
