//! Net effects to statements: many rows by one, a few by one each.

use std::{collections::BTreeMap, sync::Arc};

use wire::{Change, Lsn, Relation, Value};

use super::{super::param::Param, array::ArrayText, binding::Binding, set_sql::SetKind};
use crate::{
    net::{Identity, Irregular, NetTable, NetUpdate, Row},
    target::Operation,
};

/// Fewer rows than this are written one by one: a statement each is prepared already, and a row that is known
/// by all its values may have an index to be found by.
const FEW_ROWS: usize = 8;

/// Something to run.
pub(super) enum Step {
    /// Writes so many rows at once.
    Set { binding: Arc<Binding>, kind: SetKind, params: Vec<Param>, rows: u64 },
    /// Writes one row of the relation.
    Row { relation: Arc<Relation>, operation: Operation },
}

/// What rows of the target are known by.
pub(super) fn identity(binding: &Binding) -> Identity {
    binding.key.clone().map_or(Identity::Whole, Identity::Columns)
}

/// What to run for the changes of one table, in this order; `lsn` is where they belong.
pub(super) fn steps(
    net: &NetTable<'_>,
    binding: &Arc<Binding>,
    lsn: Lsn,
) -> Result<Vec<Step>, Irregular> {
    let mut steps = Vec::new();
    let table = Table { net, binding, lsn };
    let deletes: Vec<_> = net.deletes.iter().map(|old| (Some(old), None)).collect();
    table.add(SetKind::Delete, &deletes, &mut steps)?;
    let mut by_columns: BTreeMap<Vec<usize>, Vec<Pair<'_, '_>>> = BTreeMap::new();
    for update in &net.updates {
        let pair = (Some(&update.old), Some(&update.new));
        by_columns.entry(table.set(update)?).or_default().push(pair);
    }
    for (set, rows) in by_columns {
        table.add(SetKind::Update { set }, &rows, &mut steps)?;
    }
    let inserts: Vec<_> = net.inserts.iter().map(|new| (None, Some(new))).collect();
    table.add(SetKind::Insert, &inserts, &mut steps)?;
    Ok(steps)
}

/// A row's old values, by which it is known, and its new ones.
type Pair<'n, 'a> = (Option<&'n Row<'a>>, Option<&'n Row<'a>>);

struct Table<'n, 'a> {
    net: &'n NetTable<'a>,
    binding: &'n Arc<Binding>,
    lsn: Lsn,
}

impl Table<'_, '_> {
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

    fn add(
        &self,
        kind: SetKind,
        rows: &[Pair<'_, '_>],
        steps: &mut Vec<Step>,
    ) -> Result<(), Irregular> {
        if rows.len() < FEW_ROWS {
            let changes = rows.iter().map(|(old, new)| self.change(*old, *new));
            let step = |change| Step::Row {
                relation: self.net.relation.clone(),
                operation: Operation { lsn: self.lsn, change },
            };
            steps.extend(changes.flatten().map(step));
            return Ok(());
        }
        let (old, new) = kind.columns(self.binding);
        // Old values are in the order of the columns that they are of, new ones at their places.
        let olds = (0..old.len()).map(|at| (true, at, old.get(at).copied().unwrap_or(at)));
        let news = new.iter().map(|place| (false, *place, *place));
        let mut params = Vec::with_capacity(old.len() + new.len());
        for (is_old, at, place) in olds.chain(news) {
            let column = self.binding.columns.get(place).ok_or(Irregular)?;
            let mut array = ArrayText::new(column.staging.array.delimiter);
            for (old, new) in rows {
                let row = if is_old { old } else { new };
                let value = row.and_then(|row| row.get(at)).ok_or(Irregular)?;
                if !array.push(value) {
                    return Err(Irregular);
                }
            }
            params.push(Param::Text(array.finish()));
        }
        let (binding, rows) = (self.binding.clone(), rows.len() as u64);
        steps.push(Step::Set { binding, kind, params, rows });
        Ok(())
    }

    fn change(
        &self,
        old: Option<&Row<'_>>,
        new: Option<&Row<'_>>,
    ) -> Option<Change<Arc<Relation>>> {
        match (old, new) {
            (Some(old), None) => Some(self.net.delete(old)),
            (Some(old), Some(new)) => Some(self.net.update(old, new)),
            (None, Some(new)) => Some(self.net.insert(new)),
            (None, None) => None,
        }
    }
}
