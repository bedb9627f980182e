use std::sync::Arc;

use wire::{Relation, RelationColumn, ReplicaIdentity};

use super::super::{
    catalog::Table,
    quote::{ident, qualified},
};
use super::staging::Staging;
use crate::target::{LATER_COLUMN, TargetError};

/// How one definition of a source's table meets the table at the target.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) relation: Arc<Relation>,
    /// Schema and name, quoted.
    pub(super) table: String,
    pub(super) partitioned: bool,
    /// Columns of the table that the relation does not have, and that are not computed, quoted.
    pub(super) others: Vec<String>,
    /// A column per column of the relation, in its order.
    pub(super) columns: Vec<BoundColumn>,
    /// Whether an insert must override an identity column.
    pub(super) overriding: bool,
    /// The columns that a row is known by, as places in `columns`; none where it is known only by
    /// all of its values.
    pub(super) key: Option<Vec<usize>>,
    /// Whether many rows may be written by one statement, in an order of ours: nothing acts on each of them, no two
    /// have one key, and no column has to be left out of an update.
    pub(super) takes_sets: bool,
}

#[derive(Debug)]
pub(super) struct BoundColumn {
    /// As in the catalogue.
    pub(super) name: String,
    /// The type's name below all domains.
    pub(super) base_type: String,
    /// How many of its values are given at once.
    pub(super) staging: Staging,
    /// `=` for its type.
    pub(super) equals: String,
    /// The target computes it itself.
    pub(super) generated: bool,
    /// `GENERATED ALWAYS AS IDENTITY`: an update may not set it.
    pub(super) identity_always: bool,
}

impl Binding {
    pub(super) fn new(
        target: &str,
        relation: &Arc<Relation>,
        table: &Table,
    ) -> Result<Self, TargetError> {
        let error = |why: String, advice: String| TargetError::Table {
            target: target.to_owned(),
            table: relation.to_string(),
            why,
            advice,
        };
        if !table.is_table() {
            return Err(error(
                format!("there is something else of that name (pg_class.relkind '{}')", table.kind),
                "rename or drop it, or take another database".into(),
            ));
        }
        let qualified = qualified(&table.schema, &table.name);
        let mut columns = Vec::with_capacity(relation.columns.len());
        for column in &relation.columns {
            let bound = table.column(&column.name).ok_or_else(|| {
                error(
                    format!("it has no column \"{}\", which the source's has", column.name),
                    advice(relation, column, table),
                )
            })?;
            columns.push(BoundColumn {
                name: bound.name.clone(),
                base_type: bound.base_type.clone(),
                staging: Staging::of(bound),
                equals: bound.equals.clone().unwrap_or_else(|| "=".into()),
                generated: bound.generated,
                identity_always: bound.identity_always,
            });
        }
        let key = key(relation, table);
        let in_key = |at| key.as_ref().is_some_and(|key| key.contains(&at));
        let mut always = columns.iter().enumerate().filter(|(_, column)| column.identity_always);
        let is_key = |name: &String| {
            let place = columns.iter().position(|column| column.name == *name);
            place.is_some_and(in_key)
        };
        // Where two rows had one key, the number of rows met by many would not tell.
        let one_row = key.as_ref().is_none_or(Vec::is_empty)
            || table.unique.iter().any(|index| index.iter().all(is_key));
        let takes_sets =
            one_row && !table.one_by_one && !columns.is_empty() && always.all(|(at, _)| in_key(at));
        let comes = |name: &str| relation.columns.iter().any(|column| column.name == name);
        let others = table.columns.iter().filter(|of| !of.generated && !comes(&of.name));
        Ok(Self {
            others: others.map(|of| ident(&of.name)).collect(),
            takes_sets,
            relation: relation.clone(),
            table: qualified,
            partitioned: table.kind == 'p',
            overriding: columns.iter().any(|column| column.identity_always),
            key,
            columns,
        })
    }
}

/// Whether rows by that definition can be written to the table.
pub(in super::super) fn check_binding(
    target: &str,
    relation: &Arc<Relation>,
    table: &Table,
) -> Result<(), TargetError> {
    Binding::new(target, relation, table).map(drop)
}

/// To add what is another column's new name would leave the rows without the values that they have there.
fn advice(relation: &Relation, column: &RelationColumn, table: &Table) -> String {
    let name = qualified(&table.schema, &table.name);
    let (quoted, of) = (ident(&column.name), &column.type_name);
    let comes = |other: &str| relation.columns.iter().any(|column| column.name == other);
    let others = table.columns.iter().filter(|other| !other.generated && !comes(&other.name));
    let others: Vec<String> = others.map(|other| ident(&other.name)).collect();
    if others.is_empty() {
        return format!(
            "add it: ALTER TABLE {name} ADD COLUMN {quoted} {of}; then pull again. {LATER_COLUMN}"
        );
    }
    format!(
        "if it is the new name of {}: ALTER TABLE {name} RENAME COLUMN … TO {quoted}; if it is a new column: ALTER TABLE {name} ADD COLUMN {quoted} {of}; then pull again. {LATER_COLUMN}",
        others.join(" or ")
    )
}

/// The replica identity's columns; with FULL the target's primary key, where the stream has all of it.
fn key(relation: &Relation, table: &Table) -> Option<Vec<usize>> {
    let place = |name: &String| relation.columns.iter().position(|column| column.name == *name);
    match relation.identity {
        ReplicaIdentity::Full if table.primary_key.is_empty() => None,
        ReplicaIdentity::Full => table.primary_key.iter().map(place).collect(),
        _ => {
            let keys = relation.columns.iter().enumerate().filter(|(_, column)| column.key);
            Some(keys.map(|(at, _)| at).collect())
        }
    }
}
