//! Random histories: the net effect leaves the same rows as the changes one by one.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use proptest::prelude::*;
use wire::{
    Change, Lsn, OldRow, Relation, RelationColumn, ReplicaIdentity, Tuple, TypeName, Value,
};

use super::{Identity, Irregular, NetTable, Row, net_effect};
use crate::target::Operation;

/// A key of one or two columns, then two values, of which the first may be large.
const COLUMNS: usize = 4;

fn relation(oid: u32, name: &str, identity: ReplicaIdentity, keys: usize) -> Arc<Relation> {
    let column = |at: usize| RelationColumn {
        name: format!("c{at}"),
        key: identity == ReplicaIdentity::Full || at < keys,
        type_name: TypeName { schema: "pg_catalog".into(), name: "text".into() },
        type_oid: 25,
        type_modifier: -1,
    };
    let columns = (0..COLUMNS).map(column).collect();
    Arc::new(Relation { oid, schema: "public".into(), name: name.into(), identity, columns })
}

fn text(text: impl ToString) -> Value {
    Value::Text(Bytes::from(text.to_string()))
}

fn operation(change: Change<Arc<Relation>>) -> Operation {
    Operation { lsn: Lsn::new(8), change }
}

/// What an application does next, as numbers that are made to fit what is there.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    row: usize,
    key: (u8, u8),
    value: u8,
    large: Option<u8>,
}

fn step() -> impl Strategy<Value = Step> {
    (0..5_u8, any::<usize>(), (0..6_u8, 0..2_u8), 0..3_u8, proptest::option::of(0..3_u8))
        .prop_map(|(kind, row, key, value, large)| Step { kind, row, key, value, large })
}

/// A table with its rows, by key, and the changes of them.
struct Source {
    relation: Arc<Relation>,
    keys: usize,
    rows: Vec<Tuple>,
    operations: Vec<Operation>,
}

impl Source {
    fn row(&self, step: &Step) -> Tuple {
        let second = if self.keys == 2 { step.key.1 } else { 0 };
        vec![text(step.key.0), text(second), text(step.large.unwrap_or(9)), text(step.value)]
    }

    fn is_taken(&self, row: &Tuple, but: Option<usize>) -> bool {
        let key = |row: &Tuple| row.get(..self.keys).unwrap_or_default().to_vec();
        self.keys > 0
            && self.rows.iter().enumerate().any(|(at, of)| Some(at) != but && key(of) == key(row))
    }

    fn old(&self, row: &Tuple) -> OldRow {
        if self.relation.identity == ReplicaIdentity::Full {
            return OldRow::Full(row.clone());
        }
        let key = |(at, value): (usize, &Value)| match at < self.keys {
            true => value.clone(),
            false => Value::Null,
        };
        OldRow::Key(row.iter().enumerate().map(key).collect())
    }

    fn take(&mut self, step: &Step) {
        let (relation, mut new) = (self.relation.clone(), self.row(step));
        let at = (!self.rows.is_empty()).then(|| step.row % self.rows.len());
        let change = match (step.kind, at) {
            (0 | 1, _) | (_, None) => {
                if self.is_taken(&new, None) {
                    return;
                }
                self.rows.push(new.clone());
                Change::Insert { relation, new }
            }
            (2, Some(at)) => {
                let row = self.rows.swap_remove(at);
                Change::Delete { relation, old: self.old(&row) }
            }
            (kind, Some(at)) => {
                let was = self.rows[at].clone();
                if kind == 3 {
                    // The key stays.
                    new.splice(..2, was[..2].iter().cloned());
                }
                if self.is_taken(&new, Some(at)) {
                    return;
                }
                if step.large.is_none() {
                    new[2] = was[2].clone();
                }
                self.rows[at] = new.clone();
                let moved = new[..self.keys] != was[..self.keys];
                let full = self.relation.identity == ReplicaIdentity::Full;
                if step.large.is_none() {
                    new[2] = Value::Unchanged;
                }
                Change::Update { relation, old: (moved || full).then(|| self.old(&was)), new }
            }
        };
        self.operations.push(operation(change));
    }
}

/// Rows by what they are known by, as often as they are there.
type Rows = BTreeMap<Vec<String>, Vec<Vec<String>>>;

fn shown(row: &[&Value]) -> Vec<String> {
    row.iter().map(|value| format!("{value:?}")).collect()
}

fn known(identity: &Identity, row: &Row<'_>) -> Vec<String> {
    match identity {
        Identity::Columns(places) => {
            shown(&places.iter().map(|place| row[*place]).collect::<Vec<_>>())
        }
        Identity::Whole => shown(row),
    }
}

fn put(rows: &mut Rows, identity: &Identity, row: &Row<'_>) {
    let same = rows.entry(known(identity, row)).or_default();
    same.push(shown(row));
    assert!(*identity == Identity::Whole || same.len() == 1, "two rows with one key: {same:?}");
}

fn out(rows: &mut Rows, old: &Row<'_>) -> Vec<String> {
    let same = rows.get_mut(&shown(old)).expect("the row is there");
    let row = same.pop().expect("the row is there");
    if same.is_empty() {
        rows.remove(&shown(old));
    }
    row
}

/// Deletes, then all updates at once, then inserts.
fn apply(rows: &mut Rows, net: &NetTable<'_>) {
    for old in &net.deletes {
        out(rows, old);
    }
    let mut changed = Vec::new();
    for update in &net.updates {
        let was = out(rows, &update.old);
        let unchanged = format!("{:?}", Value::Unchanged);
        let new = shown(&update.new).into_iter().zip(was);
        let new = new.map(|(new, was)| if new == unchanged { was } else { new });
        changed.push(new.collect::<Vec<_>>());
    }
    for row in changed {
        let known = match &net.identity {
            Identity::Columns(places) => places.iter().map(|at| row[*at].clone()).collect(),
            Identity::Whole => row.clone(),
        };
        rows.entry(known).or_default().push(row);
    }
    for row in &net.inserts {
        assert!(!row.contains(&&Value::Unchanged), "an insert without a value");
        put(rows, &net.identity, row);
    }
    let keyed = net.identity != Identity::Whole;
    assert!(rows.values().all(|same| !keyed || same.len() == 1), "two rows with one key");
}

fn holds(identity: ReplicaIdentity, keys: usize, before: &[Step], steps: &[Step]) {
    let relation = relation(1, "t", identity, keys);
    let mut source = Source { relation, keys, rows: Vec::new(), operations: Vec::new() };
    before.iter().for_each(|step| source.take(step));
    let known_by = if keys == 0 { Identity::Whole } else { Identity::Columns((0..keys).collect()) };
    let mut target = Rows::new();
    source.rows.iter().for_each(|row| put(&mut target, &known_by, &row.iter().collect()));
    source.operations.clear();
    steps.iter().for_each(|step| source.take(step));
    let operations = source.operations;
    let net = net_effect(&operations, |_| known_by.clone()).expect("a history that follows");
    let touched: usize =
        net.iter().map(|net| net.deletes.len() + net.updates.len() + net.inserts.len()).sum();
    assert!(touched <= operations.len());
    net.iter().for_each(|net| apply(&mut target, net));
    let mut expected = Rows::new();
    source.rows.iter().for_each(|row| put(&mut expected, &known_by, &row.iter().collect()));
    target.values_mut().for_each(|same| same.sort());
    assert_eq!(target, expected);
}

proptest! {
    #[test]
    fn with_a_key(keys in 1..3_usize, before in prop::collection::vec(step(), 0..12), steps in prop::collection::vec(step(), 0..60)) {
        holds(ReplicaIdentity::Default, keys, &before, &steps);
    }

    #[test]
    fn with_a_key_and_the_old_row(before in prop::collection::vec(step(), 0..12), steps in prop::collection::vec(step(), 0..60)) {
        holds(ReplicaIdentity::Full, 1, &before, &steps);
    }

    #[test]
    fn without_a_key(before in prop::collection::vec(step(), 0..12), steps in prop::collection::vec(step(), 0..60)) {
        holds(ReplicaIdentity::Full, 0, &before, &steps);
    }
}

fn keyed() -> Identity {
    Identity::Columns(vec![0])
}

fn insert(relation: &Arc<Relation>, key: u8) -> Operation {
    let new = vec![text(key), text(0), text(0), text(0)];
    operation(Change::Insert { relation: relation.clone(), new })
}

fn delete(relation: &Arc<Relation>, key: u8) -> Operation {
    let old = OldRow::Key(vec![text(key), Value::Null, Value::Null, Value::Null]);
    operation(Change::Delete { relation: relation.clone(), old })
}

#[test]
fn what_does_not_follow_is_left_to_row_by_row() {
    let of = relation(1, "t", ReplicaIdentity::Default, 1);
    let net = |operations: &[Operation]| net_effect(operations, |_| keyed()).map(drop);
    assert_eq!(net(&[insert(&of, 1), insert(&of, 1)]), Err(Irregular));
    assert_eq!(net(&[delete(&of, 1), delete(&of, 1)]), Err(Irregular));
    let same_name = relation(2, "t", ReplicaIdentity::Default, 1);
    assert_eq!(net(&[insert(&of, 1), insert(&same_name, 2)]), Err(Irregular));
    let other_name = relation(2, "u", ReplicaIdentity::Default, 1);
    assert_eq!(net(&[insert(&of, 1), insert(&other_name, 1)]), Ok(()));
    let narrow = Change::Insert { relation: of, new: vec![text(1)] };
    assert_eq!(net(&[operation(narrow)]), Err(Irregular));
}

#[test]
fn what_came_and_went_leaves_nothing() {
    let of = relation(1, "t", ReplicaIdentity::Default, 1);
    let operations = [insert(&of, 1), delete(&of, 1), delete(&of, 2), insert(&of, 2)];
    let net = net_effect(&operations, |_| keyed()).unwrap();
    let [table] = net.as_slice() else { panic!("{net:?}") };
    assert_eq!((table.deletes.len(), table.updates.len(), table.inserts.len()), (0, 1, 0));
    let update = table.updates.first().unwrap();
    assert!(!update.moved && !update.new.contains(&&Value::Unchanged));
}
