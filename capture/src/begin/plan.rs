//! Which tables a publication of ours lists.

use std::collections::HashMap;

use super::tables::{Identity, TableFacts};
use crate::settings::{Keyless, TablePatterns};

/// What to publish, and what not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicationPlan {
    /// Tables to list. A partitioned table stands for its partitions, those of the future too.
    pub publish: Vec<TableFacts>,
    /// Tables whose updates would fail once published.
    pub keyless: Vec<TableFacts>,
    /// Tables to give REPLICA IDENTITY FULL before they are published.
    pub make_full: Vec<TableFacts>,
    /// Keyless tables that are left out.
    pub left_out: Vec<TableFacts>,
}

/// Decides about all tables. A table is published only where no statement of the application fails
/// for it: a partitioned table only if its key gives every partition one, otherwise its partitions singly.
pub fn plan(tables: &[TableFacts], patterns: &TablePatterns, keyless: Keyless) -> PublicationPlan {
    let by_oid: HashMap<u32, &TableFacts> = tables.iter().map(|table| (table.oid, table)).collect();
    let mut plan = PublicationPlan::default();
    for table in tables {
        let root = by_oid.get(&table.root).copied().unwrap_or(table);
        let meant = [table, root].iter().any(|of| patterns.matches(&of.schema, &of.name));
        if !meant {
            continue;
        }
        let by_root = root.partitioned
            && patterns.matches(&root.schema, &root.name)
            && tree_is_keyed(tables, root);
        match (by_root, table.partitioned) {
            (true, _) if table.oid == root.oid => plan.publish.push(table.clone()),
            (true, _) | (false, true) => {}
            (false, false) => plan.single(table, keyless),
        }
    }
    plan
}

fn tree_is_keyed(tables: &[TableFacts], root: &TableFacts) -> bool {
    let keyed = |table: &TableFacts| table.identity == Identity::Usable;
    keyed(root) && tables.iter().filter(|table| table.root == root.oid).all(keyed)
}

impl PublicationPlan {
    fn single(&mut self, table: &TableFacts, keyless: Keyless) {
        if table.identity == Identity::Usable {
            self.publish.push(table.clone());
            return;
        }
        match keyless {
            Keyless::Refuse => self.keyless.push(table.clone()),
            Keyless::Full => {
                self.make_full.push(table.clone());
                self.publish.push(table.clone());
            }
            Keyless::Skip => self.left_out.push(table.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(oid: u32, name: &str, root: u32, partitioned: bool, identity: Identity) -> TableFacts {
        let (schema, name) = ("public".to_owned(), name.to_owned());
        let (readable, reachable, owned, filtered) = (true, true, true, false);
        TableFacts {
            oid,
            schema,
            name,
            partitioned,
            root,
            identity,
            readable,
            reachable,
            owned,
            filtered,
        }
    }

    fn names(tables: &[TableFacts]) -> Vec<&str> {
        tables.iter().map(|table| table.name.as_str()).collect()
    }

    #[test]
    fn tables_without_a_key_are_never_published_as_they_are() {
        let tables = [
            table(1, "keyed", 1, false, Identity::Usable),
            table(2, "bare", 2, false, Identity::NoKey),
            table(3, "late", 3, false, Identity::Deferrable),
        ];
        let of = |keyless| plan(&tables, &TablePatterns::default(), keyless);
        assert_eq!(names(&of(Keyless::Refuse).keyless), ["bare", "late"]);
        assert_eq!(names(&of(Keyless::Refuse).publish), ["keyed"]);
        assert_eq!(names(&of(Keyless::Skip).left_out), ["bare", "late"]);
        assert_eq!(names(&of(Keyless::Full).publish), ["keyed", "bare", "late"]);
        assert_eq!(names(&of(Keyless::Full).make_full), ["bare", "late"]);
    }

    #[test]
    fn a_keyed_partition_tree_is_published_by_its_root() {
        let mut tables = vec![
            table(1, "root", 1, true, Identity::Usable),
            table(2, "part_a", 1, false, Identity::Usable),
            table(3, "part_b", 1, false, Identity::Usable),
        ];
        let all = TablePatterns::default();
        assert_eq!(names(&plan(&tables, &all, Keyless::Refuse).publish), ["root"]);
        let only = TablePatterns::new(vec!["public.root".into()]).unwrap();
        assert_eq!(names(&plan(&tables, &only, Keyless::Refuse).publish), ["root"]);
        let one = TablePatterns::new(vec!["public.part_a".into()]).unwrap();
        assert_eq!(names(&plan(&tables, &one, Keyless::Refuse).publish), ["part_a"]);
        tables[0].identity = Identity::NoKey;
        tables[2].identity = Identity::NoKey;
        let plan = plan(&tables, &all, Keyless::Refuse);
        assert_eq!((names(&plan.publish), names(&plan.keyless)), (vec!["part_a"], vec!["part_b"]));
    }
}
