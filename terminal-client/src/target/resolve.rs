//! What a change becomes once it is known which rows it meets (pure).

use std::sync::Arc;

use wire::{Change, OldRow, Relation, Tuple, Value};

use super::{
    conflict::ConflictKind,
    operation::{old_tuple, unchanged_column},
};

/// A change of the stream.
pub type RowChange = Change<Arc<Relation>>;

/// The rows that have to be looked for before a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks<'a> {
    /// The row that it changes or removes.
    pub was: Option<&'a Tuple>,
    /// A row whose key it takes, where that is another one.
    pub becomes: Option<&'a Tuple>,
}

/// What to do in place of a change.
#[derive(Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The changes, in order.
    pub changes: Vec<RowChange>,
    /// How the change did not meet its row; none where it did.
    pub conflict: Option<ConflictKind>,
}

/// The row is not there, and the change lacks the value of this column of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the row is not there, and the change does not carry column \"{0}\"")]
pub struct Incomplete(pub String);

impl<'a> Looks<'a> {
    /// Of a change to a table whose rows are known by the columns at these places; by none where rows may be
    /// alike.
    pub fn of(change: &'a RowChange, key: &[usize]) -> Self {
        match change {
            Change::Insert { new, .. } => {
                Self { was: None, becomes: (!key.is_empty()).then_some(new) }
            }
            Change::Delete { old, .. } => Self { was: Some(old_tuple(old)), becomes: None },
            Change::Update { old, new, .. } => {
                let was = old.as_ref().map_or(new, old_tuple);
                let moves = key.iter().any(|at| match new.get(*at) {
                    Some(Value::Unchanged) => false,
                    value => was.get(*at) != value,
                });
                Self { was: Some(was), becomes: moves.then_some(new) }
            }
            Change::Truncate { .. } | Change::Message { .. } => Self::default(),
        }
    }
}

/// What leads to the row that the source has, where `was` says whether the row that a change is of is there, and
/// `becomes` whether one with its new key is.
///
/// # Errors
/// Where the row has to be made anew, and the change does not carry all of it.
pub fn resolve(change: &RowChange, was: bool, becomes: bool) -> Result<Resolved, Incomplete> {
    let as_it_is = || Resolved { changes: vec![change.clone()], conflict: None };
    let overwrite = |relation: &Arc<Relation>, new: &Tuple| Change::Update {
        relation: relation.clone(),
        old: None,
        new: new.clone(),
    };
    Ok(match change {
        Change::Insert { relation, new } if becomes => Resolved {
            changes: vec![overwrite(relation, new)],
            conflict: Some(ConflictKind::RowPresent),
        },
        Change::Delete { .. } if !was => {
            Resolved { changes: Vec::new(), conflict: Some(ConflictKind::RowMissing) }
        }
        Change::Update { relation, new, .. } if !was => {
            if let Some(column) = unchanged_column(relation, new) {
                return Err(Incomplete(column.to_owned()));
            }
            let (relation, new) = (relation.clone(), new.clone());
            let change =
                if becomes { overwrite(&relation, &new) } else { Change::Insert { relation, new } };
            Resolved { changes: vec![change], conflict: Some(ConflictKind::RowMissing) }
        }
        Change::Update { relation, new, .. } if becomes => {
            let (relation, old) = (relation.clone(), OldRow::Key(new.clone()));
            Resolved {
                changes: vec![Change::Delete { relation, old }, change.clone()],
                conflict: Some(ConflictKind::RowPresent),
            }
        }
        _ => as_it_is(),
    })
}

#[cfg(test)]
mod tests {
    use wire::{RelationColumn, ReplicaIdentity, TypeName};

    use super::*;

    fn relation() -> Arc<Relation> {
        let column = |name: &str, key| RelationColumn {
            name: name.into(),
            key,
            type_name: TypeName { schema: "pg_catalog".into(), name: "text".into() },
            type_oid: 25,
            type_modifier: -1,
        };
        Arc::new(Relation {
            oid: 1,
            schema: "public".into(),
            name: "t".into(),
            identity: ReplicaIdentity::Default,
            columns: vec![column("id", true), column("v", false)],
        })
    }

    fn row(id: &'static str, v: Option<&'static str>) -> Tuple {
        vec![Value::Text(id.into()), v.map_or(Value::Unchanged, |v| Value::Text(v.into()))]
    }

    fn update(old: Option<Tuple>, new: Tuple) -> RowChange {
        Change::Update { relation: relation(), old: old.map(OldRow::Key), new }
    }

    #[test]
    fn what_meets_its_row_stays_as_it_is() {
        let insert = Change::Insert { relation: relation(), new: row("1", Some("a")) };
        let delete = Change::Delete { relation: relation(), old: OldRow::Key(row("1", Some("a"))) };
        let moved = update(Some(row("1", Some("a"))), row("2", Some("b")));
        for (change, was) in [(insert, false), (delete, true), (moved, true)] {
            let resolved = resolve(&change, was, false).unwrap();
            assert_eq!(resolved, Resolved { changes: vec![change], conflict: None });
        }
    }

    #[test]
    fn a_row_that_is_missing_is_made_where_all_of_it_is_known() {
        let new = row("1", Some("a"));
        let resolved = resolve(&update(None, new.clone()), false, false).unwrap();
        assert_eq!(resolved.conflict, Some(ConflictKind::RowMissing));
        assert_eq!(resolved.changes, [Change::Insert { relation: relation(), new }]);
        let lacks = resolve(&update(None, row("1", None)), false, false);
        assert_eq!(lacks.unwrap_err(), Incomplete("v".into()));
        let moved = update(Some(row("1", Some("a"))), row("2", Some("a")));
        let resolved = resolve(&moved, false, true).unwrap();
        assert_eq!(resolved.changes, [update(None, row("2", Some("a")))]);
    }

    #[test]
    fn a_row_that_stands_in_the_way_gives_way() {
        let insert = Change::Insert { relation: relation(), new: row("1", Some("a")) };
        let resolved = resolve(&insert, false, true).unwrap();
        assert_eq!(resolved.changes, [update(None, row("1", Some("a")))]);
        assert_eq!(resolved.conflict, Some(ConflictKind::RowPresent));
        // The one that moves there keeps what the change does not carry.
        let moved = update(Some(row("1", Some("a"))), row("2", None));
        let resolved = resolve(&moved, true, true).unwrap();
        let (relation, old) = (relation(), OldRow::Key(row("2", None)));
        assert_eq!(resolved.changes, [Change::Delete { relation, old }, moved]);
    }

    #[test]
    fn only_another_key_is_looked_for() {
        let same = update(Some(row("1", Some("a"))), row("1", Some("b")));
        assert_eq!(Looks::of(&same, &[0]).becomes, None);
        let moved = update(Some(row("1", Some("a"))), row("2", Some("b")));
        assert_eq!(Looks::of(&moved, &[0]).becomes, Some(&row("2", Some("b"))));
        assert_eq!(Looks::of(&moved, &[]).becomes, None);
        let insert = Change::Insert { relation: relation(), new: row("1", Some("a")) };
        assert_eq!(Looks::of(&insert, &[0]).becomes, Some(&row("1", Some("a"))));
        assert_eq!(Looks::of(&insert, &[]), Looks::default());
    }
}
