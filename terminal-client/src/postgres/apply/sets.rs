//! Net effects to statements: many rows by one, a few by one each.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use wire::{Change, Lsn, Relation, Value};

use super::{
    super::param::Param,
    array::ArrayParam,
    binding::Binding,
    copy_text::CopyText,
    set_sql::{SetKind, written},
};
use crate::{
    net::{Identity, Irregular, NetTable, NetUpdate, Row},
    target::Operation,
};

/// Fewer rows than this are written one by one: a statement each is prepared already, and a row that is known
/// by all its values may have an index to be found by.
const FEW_ROWS: usize = 8;

/// Something to run.
pub(super) enum Step<'n, 'a> {
    /// Changes or removes many rows at once.
    Set(Set<'n, 'a>),
    /// Brings many rows at once.
    Copy(NewRows<'n, 'a>),
    /// Writes one row of the relation.
    Row { relation: Arc<Relation>, operation: Operation },
}

/// Rows that one statement writes.
pub(super) struct Set<'n, 'a> {
    pub(super) binding: Arc<Binding>,
    pub(super) kind: SetKind,
    rows: Vec<Pair<'n, 'a>>,
}

impl Set<'_, '_> {
    /// How many rows it must meet.
    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The statement's parameters: an array per column.
    pub(super) fn params(&self) -> Result<Vec<Param>, Irregular> {
        let (old, new) = self.kind.columns(&self.binding);
        // Old values are in the order of the columns that they are of, new ones at their places.
        let olds = old.iter().enumerate().map(|(at, place)| (true, at, *place));
        let news = new.iter().map(|place| (false, *place, *place));
        let array = |(is_old, at, place): (bool, usize, usize)| {
            let column = self.binding.columns.get(place).ok_or(Irregular)?;
            let mut array = ArrayParam::new(column.staging.elements);
            for (old, new) in &self.rows {
                let row = if is_old { Some(*old) } else { *new };
                let value = row.and_then(|row| row.get(at)).ok_or(Irregular)?;
                if !array.push(value) {
                    return Err(Irregular);
                }
            }
            Ok(array.finish())
        };
        olds.chain(news).map(array).collect()
    }
}

/// Rows that one COPY brings.
pub(super) struct NewRows<'n, 'a> {
    pub(super) binding: Arc<Binding>,
    rows: &'n [Row<'a>],
}

impl NewRows<'_, '_> {
    /// How many they are.
    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The rows as COPY reads them.
    pub(super) fn text(&self) -> Result<Bytes, Irregular> {
        let written = written(&self.binding);
        let mut text = CopyText::default();
        for row in self.rows {
            for place in &written {
                if !text.push(row.get(*place).ok_or(Irregular)?) {
                    return Err(Irregular);
                }
            }
            text.end_row();
        }
        Ok(text.finish())
    }
}

/// What rows of the target are known by.
pub(super) fn identity(binding: &Binding) -> Identity {
    binding.key.clone().map_or(Identity::Whole, Identity::Columns)
}

/// What to run for the changes of one table, in this order; `lsn` is where they belong.
pub(super) fn steps<'n, 'a>(
    net: &'n NetTable<'a>,
    binding: &'n Arc<Binding>,
    lsn: Lsn,
) -> Result<Vec<Step<'n, 'a>>, Irregular> {
    let mut steps = Vec::new();
    let table = Table { net, binding, lsn };
    let deletes = net.deletes.iter().map(|old| (old, None)).collect();
    table.add(SetKind::Delete, deletes, &mut steps);
    let mut by_columns: BTreeMap<Vec<usize>, Vec<Pair<'n, 'a>>> = BTreeMap::new();
    for update in &net.updates {
        let pair = (&update.old, Some(&update.new));
        by_columns.entry(table.set(update)?).or_default().push(pair);
    }
    for (set, rows) in by_columns {
        table.add(SetKind::Update { set }, rows, &mut steps);
    }
    if net.inserts.len() >= FEW_ROWS {
        steps.push(Step::Copy(NewRows { binding: binding.clone(), rows: &net.inserts }));
    } else {
        steps.extend(net.inserts.iter().map(|new| table.row(net.insert(new))));
    }
    Ok(steps)
}

/// The values that a row is known by, and its new ones where it is not removed.
type Pair<'n, 'a> = (&'n Row<'a>, Option<&'n Row<'a>>);

struct Table<'n, 'a> {
    net: &'n NetTable<'a>,
    binding: &'n Arc<Binding>,
    lsn: Lsn,
}

impl<'n, 'a> Table<'n, 'a> {
    /// The columns that an update writes.
    fn set(&self, update: &NetUpdate<'_>) -> Result<Vec<usize>, Irregular> {
        let key = self.binding.key.as_deref();
        if update.moved && key.is_some() && self.binding.overriding {
            return Err(Irregular);
        }
        let is_kept = |at: usize| !update.moved && key.is_some_and(|key| key.contains(&at));
        let columns = self.binding.columns.iter().zip(&update.new).enumerate();
        let set = columns.filter(|(at, (column, value))| {
            !column.generated && **value != &Value::Unchanged && !is_kept(*at)
        });
        Ok(set.map(|(at, _)| at).collect())
    }

    fn add(&self, kind: SetKind, rows: Vec<Pair<'n, 'a>>, steps: &mut Vec<Step<'n, 'a>>) {
        if rows.len() >= FEW_ROWS {
            steps.push(Step::Set(Set { binding: self.binding.clone(), kind, rows }));
            return;
        }
        steps.extend(rows.into_iter().map(|(old, new)| {
            let change = new.map(|new| self.net.update(old, new));
            self.row(change.unwrap_or_else(|| self.net.delete(old)))
        }));
    }

    fn row(&self, change: Change<Arc<Relation>>) -> Step<'n, 'a> {
        let operation = Operation { lsn: self.lsn, change };
        Step::Row { relation: self.net.relation.clone(), operation }
    }
}
