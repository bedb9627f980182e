//! Which tables a publication of ours lists.

use std::collections::{BTreeMap, HashMap};

use super::tables::{Identity, TableFacts};
use crate::settings::{ColumnPatterns, Keyless, Selection};

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
    /// By OID, the columns that are listed of a table of which others are left out.
    pub columns: BTreeMap<u32, Vec<String>>,
    /// Why columns cannot be left out as they are meant to be.
    pub cannot_exclude: Vec<String>,
}

/// Decides about all tables. A table is published only where no statement of the application fails
/// for it: a partitioned table only if its key gives every partition one, otherwise its partitions singly.
pub fn plan(tables: &[TableFacts], selection: &Selection) -> PublicationPlan {
    let Selection { tables: patterns, exclude, keyless } = selection;
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
            && tree_is_keyed(tables, root)
            && !tree_is_cut(tables, root, exclude);
        match (by_root, table.partitioned) {
            (true, _) if table.oid == root.oid => plan.publish.push(table.clone()),
            (true, _) | (false, true) => {}
            (false, false) => plan.single(table, *keyless),
        }
    }
    plan.leave_out(exclude);
    plan.cannot_exclude.extend(unused(tables, exclude));
    plan
}

/// A whole tree can only be listed with all its columns.
fn tree_is_cut(tables: &[TableFacts], root: &TableFacts, exclude: &ColumnPatterns) -> bool {
    tables
        .iter()
        .filter(|table| table.root == root.oid)
        .any(|table| !left_out(table, exclude).is_empty())
}

fn left_out<'a>(table: &'a TableFacts, exclude: &ColumnPatterns) -> Vec<&'a String> {
    let out = |column: &&String| exclude.matching(&table.schema, &table.name, column).is_some();
    table.columns.iter().filter(out).collect()
}

/// Patterns that leave nothing out are more likely misspelt than meant.
fn unused<'a>(
    tables: &[TableFacts],
    exclude: &'a ColumnPatterns,
) -> impl Iterator<Item = String> + use<'a> {
    let mut unused: Vec<&str> = exclude.iter().collect();
    for table in tables {
        let pattern = |column: &String| exclude.matching(&table.schema, &table.name, column);
        let used: Vec<&str> = table.columns.iter().filter_map(pattern).collect();
        unused.retain(|pattern| !used.contains(pattern));
    }
    unused.into_iter().map(|pattern| {
        format!("{pattern} names no column of any table: is it misspelt, or gone? It would leave nothing out")
    })
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

    /// A publication may leave a column out only where no update or delete needs it: else these fail on
    /// the master.
    fn leave_out(&mut self, exclude: &ColumnPatterns) {
        for table in &self.publish {
            let out = left_out(table, exclude);
            if out.is_empty() {
                continue;
            }
            let name = format!("{}.{}", table.schema, table.name);
            let is_full = table.identity_columns.len() >= table.columns.len()
                || self.make_full.iter().any(|full| full.oid == table.oid);
            if let Some(column) =
                out.iter().find(|column| is_full || table.identity_columns.contains(column))
            {
                self.cannot_exclude.push(format!(
                    "{name}.{column} is part of its table's replica identity: without it every UPDATE and DELETE on {name} would \
                     fail. Give the table a key without it: ALTER TABLE {} REPLICA IDENTITY USING INDEX …",
                    table.quoted()
                ));
            }
            let kept = table.columns.iter().filter(|column| !out.contains(column)).cloned();
            self.columns.insert(table.oid, kept.collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::TablePatterns;

    fn table(oid: u32, name: &str, root: u32, partitioned: bool, identity: Identity) -> TableFacts {
        let (schema, name) = ("public".to_owned(), name.to_owned());
        let identity_columns = match identity {
            Identity::Usable => vec!["id".to_owned()],
            _ => Vec::new(),
        };
        TableFacts {
            oid,
            schema,
            name,
            partitioned,
            root,
            identity,
            readable: true,
            reachable: true,
            owned: true,
            filtered: false,
            columns: vec!["id".to_owned(), "name".to_owned(), "iban".to_owned()],
            identity_columns,
        }
    }

    fn of(tables: &[&str], exclude: &[&str], keyless: Keyless) -> Selection {
        let list = |of: &[&str]| of.iter().map(|pattern| (*pattern).to_owned()).collect();
        Selection {
            tables: TablePatterns::new(list(tables)).unwrap(),
            exclude: ColumnPatterns::new(list(exclude)).unwrap(),
            keyless,
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
        let plan = |keyless| plan(&tables, &of(&[], &[], keyless));
        assert_eq!(names(&plan(Keyless::Refuse).keyless), ["bare", "late"]);
        assert_eq!(names(&plan(Keyless::Refuse).publish), ["keyed"]);
        assert_eq!(names(&plan(Keyless::Skip).left_out), ["bare", "late"]);
        assert_eq!(names(&plan(Keyless::Full).publish), ["keyed", "bare", "late"]);
        assert_eq!(names(&plan(Keyless::Full).make_full), ["bare", "late"]);
    }

    #[test]
    fn a_keyed_partition_tree_is_published_by_its_root() {
        let mut tables = vec![
            table(1, "root", 1, true, Identity::Usable),
            table(2, "part_a", 1, false, Identity::Usable),
            table(3, "part_b", 1, false, Identity::Usable),
        ];
        let publishes = |tables: &[TableFacts], patterns: &[&str], exclude: &[&str]| {
            let plan = plan(tables, &of(patterns, exclude, Keyless::Refuse));
            names(&plan.publish).join(" ")
        };
        assert_eq!(publishes(&tables, &[], &[]), "root");
        assert_eq!(publishes(&tables, &["public.root"], &[]), "root");
        assert_eq!(publishes(&tables, &["public.part_a"], &[]), "part_a");
        // A list of columns is for single tables.
        assert_eq!(publishes(&tables, &[], &["public.*.iban"]), "part_a part_b");
        tables[0].identity = Identity::NoKey;
        tables[2].identity = Identity::NoKey;
        let plan = plan(&tables, &of(&[], &[], Keyless::Refuse));
        assert_eq!((names(&plan.publish), names(&plan.keyless)), (vec!["part_a"], vec!["part_b"]));
    }

    #[test]
    fn columns_are_left_out_where_no_statement_needs_them() {
        let tables = [
            table(1, "keyed", 1, false, Identity::Usable),
            table(2, "bare", 2, false, Identity::NoKey),
        ];
        let plan = |exclude: &[&str]| plan(&tables, &of(&[], exclude, Keyless::Full));
        let kept = plan(&["public.keyed.iban"]);
        assert_eq!(kept.columns[&1], ["id", "name"]);
        assert!(kept.cannot_exclude.is_empty() && !kept.columns.contains_key(&2));
        for (wrong, word) in [
            ("public.keyed.id", "public.keyed.id is part of its table's replica identity"),
            // FULL means all of them.
            ("public.bare.iban", "public.bare.iban is part of"),
            ("public.keyed.ibann", "misspelt"),
        ] {
            let plan = plan(&[wrong]);
            assert!(plan.cannot_exclude[0].contains(word), "{:?}", plan.cannot_exclude);
        }
    }
}
