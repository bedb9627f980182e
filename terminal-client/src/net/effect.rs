use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use wire::{Change, OldRow, Relation, Tuple};

use super::{
    identity::Identity,
    keyed::Keyed,
    row::{Irregular, NetRow, Row},
    whole::Whole,
};
use crate::target::{Operation, old_tuple};

/// What the changes of one table come to.
#[derive(Debug)]
pub struct NetTable<'a> {
    /// The table.
    pub relation: &'a Arc<Relation>,
    /// What its rows are known by.
    pub identity: Identity,
    /// Rows that are gone: the values that they are known by, as the target has them.
    pub deletes: Vec<Row<'a>>,
    /// Rows that are changed.
    pub updates: Vec<NetUpdate<'a>>,
    /// Rows that are there now, all of their values.
    pub inserts: Vec<Row<'a>>,
}

/// A row that is changed.
#[derive(Debug)]
pub struct NetUpdate<'a> {
    /// The values that it is known by, as the target has them.
    pub old: Row<'a>,
    /// All of its values; `Unchanged` where the target's stays.
    pub new: Row<'a>,
    /// Whether it is known by others afterwards.
    pub moved: bool,
}

/// What the operations come to, table by table in the order in which they were met. None of them may be a
/// truncate.
///
/// # Errors
/// [`Irregular`].
pub fn net_effect<'a>(
    operations: &'a [Operation],
    mut identity_of: impl FnMut(&Arc<Relation>) -> Identity,
) -> Result<Vec<NetTable<'a>>, Irregular> {
    let mut tables: Vec<Table<'a>> = Vec::new();
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut names = HashSet::new();
    for operation in operations {
        let relation = match &operation.change {
            Change::Insert { relation, .. }
            | Change::Update { relation, .. }
            | Change::Delete { relation, .. } => relation,
            Change::Message { .. } => continue,
            Change::Truncate { .. } => return Err(Irregular),
        };
        // One definition is one `Arc`.
        let address = Arc::as_ptr(relation).addr();
        let place = match places.get(&address) {
            Some(place) => *place,
            None => {
                if !names.insert((&relation.schema, &relation.name)) {
                    return Err(Irregular);
                }
                tables.push(Table::new(relation, identity_of(relation)));
                places.insert(address, tables.len() - 1);
                tables.len() - 1
            }
        };
        tables.get_mut(place).ok_or(Irregular)?.take(&operation.change)?;
    }
    Ok(tables.into_iter().map(Table::finish).collect())
}

struct Table<'a> {
    relation: &'a Arc<Relation>,
    identity: Identity,
    rows: Rows<'a>,
}

enum Rows<'a> {
    Keyed(Keyed<'a>),
    Whole(Whole<'a>),
}

impl<'a> Table<'a> {
    fn new(relation: &'a Arc<Relation>, identity: Identity) -> Self {
        let rows = match &identity {
            Identity::Columns(places) => Rows::Keyed(Keyed::new(places.clone())),
            Identity::Whole => Rows::Whole(Whole::default()),
        };
        Self { relation, identity, rows }
    }

    fn take(&mut self, change: &'a Change<Arc<Relation>>) -> Result<(), Irregular> {
        let width = |tuple: &Tuple| match tuple.len() == self.relation.columns.len() {
            true => Ok(()),
            false => Err(Irregular),
        };
        match change {
            Change::Insert { new, .. } => {
                width(new)?;
                match &mut self.rows {
                    Rows::Keyed(rows) => rows.insert(new),
                    Rows::Whole(rows) => rows.insert(new),
                }
            }
            Change::Update { old, new, .. } => {
                width(new)?;
                old.as_ref().map(old_tuple).map_or(Ok(()), width)?;
                match (&mut self.rows, old) {
                    (Rows::Keyed(rows), old) => rows.update(old.as_ref().map(old_tuple), new),
                    (Rows::Whole(rows), Some(OldRow::Full(old))) => rows.update(old, new),
                    (Rows::Whole(_), _) => Err(Irregular),
                }
            }
            Change::Delete { old, .. } => {
                width(old_tuple(old))?;
                match (&mut self.rows, old) {
                    (Rows::Keyed(rows), old) => rows.delete(old_tuple(old)),
                    (Rows::Whole(rows), OldRow::Full(old)) => rows.delete(old),
                    (Rows::Whole(_), OldRow::Key(_)) => Err(Irregular),
                }
            }
            Change::Truncate { .. } | Change::Message { .. } => Err(Irregular),
        }
    }

    fn finish(self) -> NetTable<'a> {
        let places = match &self.identity {
            Identity::Columns(places) => Some(places.as_slice()),
            Identity::Whole => None,
        };
        let rows = match self.rows {
            Rows::Keyed(rows) => rows.finish(),
            Rows::Whole(rows) => rows.finish(),
        };
        let (mut deletes, mut updates, mut inserts) = (Vec::new(), Vec::new(), Vec::new());
        for NetRow { before, after } in rows {
            match (before, after) {
                (Some(old), None) => deletes.push(old),
                (None, Some(new)) => inserts.push(new),
                (Some(old), Some(new)) => {
                    let moved = match places {
                        Some(places) => {
                            places.iter().zip(&old).any(|(place, old)| new.get(*place) != Some(old))
                        }
                        None => old != new,
                    };
                    // Of rows known by all values, one that came back to them did not change.
                    if moved || places.is_some() {
                        updates.push(NetUpdate { old, new, moved });
                    }
                }
                (None, None) => {}
            }
        }
        NetTable { relation: self.relation, identity: self.identity, deletes, updates, inserts }
    }
}
