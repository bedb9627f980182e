use std::{collections::HashSet, sync::Arc};

use serde::Deserialize;
use wire::{Change, JoinedTable, Relation, SCHEMA, SCHEMA_CHANGE_COLUMN, SCHEMA_CHANGES, Value};

/// What is known of a transaction's schema changes before any of it is applied.
#[derive(Debug, Default)]
pub struct Alters {
    /// Whether there are any, or a table joins with rows in it.
    pub any: bool,
    /// The first change of each table whose rows the transaction leaves out.
    pub lacking: Vec<Change<Arc<Relation>>>,
}

/// All that matters here of a [`wire::SchemaChange`]; what cannot be read is found out in its place.
#[derive(Deserialize)]
struct Flags {
    oid: u32,
    after: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    rows_needed: bool,
}

fn flags(change: &Change<Arc<Relation>>) -> Option<Flags> {
    serde_json::from_slice(schema_change_text(change)?).ok()
}

/// Two readings, one of which holds nothing: a transaction may change very many tables, and rewrites few.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    pub(super) any: bool,
    needed: HashSet<u32>,
}

impl Lacking {
    /// One change, in the first reading.
    pub(super) fn look(&mut self, change: &Change<Arc<Relation>>) {
        self.any |= is_schema_change(change) || JoinedTable::of(change).is_some();
        let needed = flags(change).filter(|flags| flags.rows_needed && flags.after.is_some());
        self.needed.extend(needed.map(|flags| flags.oid));
    }

    /// Whether there is anything to be found in the second.
    pub(super) fn is_empty(&self) -> bool {
        self.needed.is_empty()
    }

    /// One change, in the second reading.
    pub(super) fn is_first(&mut self, change: &Change<Arc<Relation>>) -> bool {
        flags(change).is_some_and(|flags| self.needed.remove(&flags.oid))
    }
}

/// Whether a change that came in the control channel is a row of `tailwater.schema_changes`; in another
/// channel it is a row like any other.
pub fn is_schema_change(change: &Change<Arc<Relation>>) -> bool {
    matches!(change, Change::Insert { relation, .. }
        if relation.schema == SCHEMA && relation.name == SCHEMA_CHANGES)
}

/// What such a row says, as JSON; none where it says nothing.
pub fn schema_change_text(change: &Change<Arc<Relation>>) -> Option<&[u8]> {
    let Change::Insert { relation, new } = change else { return None };
    if !is_schema_change(change) {
        return None;
    }
    let place = relation.columns.iter().position(|column| column.name == SCHEMA_CHANGE_COLUMN)?;
    match new.get(place) {
        Some(Value::Text(json)) => Some(json),
        _ => None,
    }
}
