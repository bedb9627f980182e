//! The rows that wait in quarantine: what changes them, or refers to them, waits behind (pure).

use std::collections::{HashMap, HashSet};

use wire::{Change, Lsn, Relation, ReplicaIdentity, Tuple, Value};

use crate::{
    net::key_bytes,
    target::{HeldTransaction, Operation, Reference, old_tuple},
};

/// Rows by their tables.
#[derive(Debug, Default)]
pub(super) struct HeldKeys {
    tables: HashMap<u32, HeldRows>,
    references: Vec<Reference>,
}

#[derive(Debug, Default)]
struct HeldRows {
    /// As `schema.table`.
    name: String,
    /// The columns of its key.
    key: Vec<String>,
    /// All rows wait: the table has no key, or was truncated.
    all: Option<Lsn>,
    /// The transaction that each waits for, by its key.
    rows: HashMap<Box<[u8]>, Lsn>,
}

impl HeldKeys {
    /// Of transactions in quarantine, with the foreign keys that there are.
    pub(super) fn new<'a>(
        held: impl IntoIterator<Item = &'a HeldTransaction>,
        references: Vec<Reference>,
    ) -> Self {
        let mut keys = Self { tables: HashMap::new(), references };
        held.into_iter().for_each(|held| keys.add(held));
        keys
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Whether rows of that table wait.
    pub(super) fn has_table(&self, oid: u32) -> bool {
        self.tables.contains_key(&oid)
    }

    /// Adds the rows of a transaction.
    pub(super) fn add(&mut self, held: &HeldTransaction) {
        for operation in &held.operations {
            for relation in operation.change.relations() {
                let rows = self.tables.entry(relation.oid).or_insert_with(|| HeldRows {
                    name: relation.to_string(),
                    key: key_of(relation).into_iter().map(|(_, name)| name).collect(),
                    ..HeldRows::default()
                });
                match keys_of(relation, operation) {
                    Some(keys) => {
                        rows.rows.extend(keys.into_iter().map(|key| (key, held.lsn)));
                    }
                    None => rows.all = Some(held.lsn),
                }
            }
        }
    }

    /// The transaction in quarantine that one of these changes has to wait for.
    pub(super) fn behind(&self, operations: &[Operation]) -> Option<Lsn> {
        if self.is_empty() {
            return None;
        }
        operations.iter().find_map(|operation| {
            let mut relations = operation.change.relations().iter();
            relations.find_map(|relation| {
                self.held(relation, operation).or_else(|| self.referred(relation, operation))
            })
        })
    }

    fn held(&self, relation: &Relation, operation: &Operation) -> Option<Lsn> {
        let rows = self.tables.get(&relation.oid)?;
        let same_key = key_of(relation).iter().map(|(_, name)| name).eq(&rows.key);
        match keys_of(relation, operation) {
            _ if rows.all.is_some() => rows.all,
            // Which rows those are is not known.
            _ if !same_key => rows.rows.values().next().copied(),
            Some(keys) => keys.iter().find_map(|key| rows.rows.get(key)).copied(),
            // Any row of it.
            None => rows.rows.values().next().copied(),
        }
    }

    /// Of a row that is written and refers to one that waits.
    fn referred(&self, relation: &Relation, operation: &Operation) -> Option<Lsn> {
        let (Change::Insert { new, .. } | Change::Update { new, .. }) = &operation.change else {
            return None;
        };
        let table = relation.to_string();
        let of = self.references.iter().filter(|reference| reference.table == table);
        of.into_iter().find_map(|reference| {
            let rows = self.tables.values().find(|rows| rows.name == reference.parent)?;
            if rows.all.is_some() {
                return rows.all;
            }
            let any = || rows.rows.values().next().copied();
            let same: HashSet<_> = reference.parent_columns.iter().collect();
            if same != rows.key.iter().collect() {
                // It refers to other columns: which rows those are is not known.
                return any();
            }
            let mut values = Vec::with_capacity(rows.key.len());
            for key in &rows.key {
                let at = reference.parent_columns.iter().position(|column| column == key)?;
                let column = reference.columns.get(at)?;
                let at = relation.columns.iter().position(|of| of.name == *column)?;
                values.push(new.get(at)?);
            }
            if values.contains(&&Value::Unchanged) {
                return any();
            }
            rows.rows.get(&key_bytes(values.into_iter())?).copied()
        })
    }
}

/// The columns of the key, with their places; none where rows may be alike.
fn key_of(relation: &Relation) -> Vec<(usize, String)> {
    if relation.identity == ReplicaIdentity::Full {
        return Vec::new();
    }
    let keys = relation.columns.iter().enumerate().filter(|(_, column)| column.key);
    keys.map(|(at, column)| (at, column.name.clone())).collect()
}

/// The keys that a change is about; none where it may be about any row.
fn keys_of(relation: &Relation, operation: &Operation) -> Option<Vec<Box<[u8]>>> {
    let key = key_of(relation);
    if key.is_empty() {
        return None;
    }
    let bytes = |row: &Tuple| {
        let values: Option<Vec<&Value>> = key.iter().map(|(at, _)| row.get(*at)).collect();
        key_bytes(values?.into_iter())
    };
    match &operation.change {
        Change::Insert { new, .. } => Some(vec![bytes(new)?]),
        Change::Update { old: None, new, .. } => Some(vec![bytes(new)?]),
        Change::Update { old: Some(old), new, .. } => {
            Some(vec![bytes(old_tuple(old))?, bytes(new)?])
        }
        Change::Delete { old, .. } => Some(vec![bytes(old_tuple(old))?]),
        Change::Truncate { .. } => None,
        Change::Message { .. } => Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wire::{OldRow, RelationColumn, TypeName};

    use super::*;

    fn table(oid: u32, name: &str, identity: ReplicaIdentity) -> Arc<Relation> {
        let column = |name: &str, key| RelationColumn {
            name: name.into(),
            key,
            type_name: TypeName { schema: "pg_catalog".into(), name: "int4".into() },
            type_oid: 23,
            type_modifier: -1,
        };
        let columns = vec![column("id", true), column("parent", false)];
        Arc::new(Relation { oid, schema: "public".into(), name: name.into(), identity, columns })
    }

    fn insert(relation: &Arc<Relation>, id: &'static str, parent: &'static str) -> Operation {
        let new = vec![Value::Text(id.into()), Value::Text(parent.into())];
        Operation { lsn: Lsn::new(1), change: Change::Insert { relation: relation.clone(), new } }
    }

    fn held(lsn: u64, operations: Vec<Operation>) -> HeldTransaction {
        HeldTransaction { lsn: Lsn::new(lsn), why: String::new(), operations }
    }

    #[test]
    fn the_same_row_waits_and_others_do_not() {
        let t = table(1, "t", ReplicaIdentity::Default);
        let keys = HeldKeys::new(&[held(5, vec![insert(&t, "1", "0")])], Vec::new());
        assert_eq!(keys.behind(&[insert(&t, "2", "0"), insert(&t, "1", "9")]), Some(Lsn::new(5)));
        assert_eq!(keys.behind(&[insert(&t, "2", "0")]), None);
        assert_eq!(
            keys.behind(&[insert(&table(2, "u", ReplicaIdentity::Default), "1", "0")]),
            None
        );
        // A row that moves away, or there.
        let row = |id: &'static str| vec![Value::Text(id.into()), Value::Null];
        let moved = |from, to| Operation {
            lsn: Lsn::new(1),
            change: Change::Update {
                relation: t.clone(),
                old: Some(OldRow::Key(row(from))),
                new: row(to),
            },
        };
        assert!(keys.behind(&[moved("1", "2")]).is_some());
        assert!(keys.behind(&[moved("2", "1")]).is_some());
        assert!(keys.behind(&[moved("2", "3")]).is_none());
        let truncate = Change::Truncate {
            relations: vec![t.clone()],
            cascade: false,
            restart_identity: false,
        };
        let truncate = Operation { lsn: Lsn::new(1), change: truncate };
        assert!(keys.behind(std::slice::from_ref(&truncate)).is_some());
        let keys = HeldKeys::new(&[held(6, vec![truncate])], Vec::new());
        assert!(keys.behind(&[insert(&t, "77", "0")]).is_some());
    }

    #[test]
    fn without_a_key_the_whole_table_waits() {
        let t = table(1, "t", ReplicaIdentity::Full);
        let keys = HeldKeys::new(&[held(5, vec![insert(&t, "1", "0")])], Vec::new());
        assert_eq!(keys.behind(&[insert(&t, "2", "0")]), Some(Lsn::new(5)));
    }

    #[test]
    fn what_refers_to_a_row_that_waits_waits_too() {
        let (parent, child) = (
            table(1, "parent", ReplicaIdentity::Default),
            table(2, "child", ReplicaIdentity::Default),
        );
        let of = |parent_columns: &str| Reference {
            table: "public.child".into(),
            columns: vec!["parent".into()],
            parent: "public.parent".into(),
            parent_columns: vec![parent_columns.into()],
        };
        let waits = [held(5, vec![insert(&parent, "1", "0")])];
        let keys = HeldKeys::new(&waits, vec![of("id")]);
        assert_eq!(keys.behind(&[insert(&child, "7", "1")]), Some(Lsn::new(5)));
        assert_eq!(keys.behind(&[insert(&child, "7", "2")]), None);
        let keys = HeldKeys::new(&waits, vec![of("code")]);
        assert_eq!(keys.behind(&[insert(&child, "7", "2")]), Some(Lsn::new(5)));
    }
}
