use rusqlite::Statement;
use wire::{Change, Relation, Tuple, Value};

use super::{
    super::values::{Unfit, cell},
    plan::Plan,
    write::{From, Write},
};
use crate::target::old_tuple;

/// Why a change's values cannot be given to its statement.
#[derive(Debug, thiserror::Error)]
pub(super) enum BindError {
    #[error("column {column}: {error}")]
    Unfit { column: String, error: Unfit },
    #[error("the stream does not carry the value of its column {0}")]
    Absent(String),
    #[error("the value of its column {0} came in binary form, which is not read here")]
    Binary(String),
    #[error("its row has {found} values where the table has {expected}")]
    Width { found: usize, expected: usize },
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Gives a change's values to its statement, which keeps a copy of them.
pub(super) fn bind<R>(
    statement: &mut Statement<'_>,
    plan: &Plan,
    write: &Write,
    change: &Change<R>,
) -> Result<(), BindError> {
    let (old, new) = rows_of(change);
    for tuple in [old, new].into_iter().flatten() {
        let (found, expected) = (tuple.len(), plan.relation.columns.len());
        if found != expected {
            return Err(BindError::Width { found, expected });
        }
    }
    for (place, (from, column)) in write.binds.iter().enumerate() {
        let row = if *from == From::Old { old } else { new };
        let name = || name_of(&plan.relation, *column);
        match row.and_then(|row| row.get(*column)) {
            Some(Value::Null) => statement.raw_bind_parameter(place + 1, None::<i64>)?,
            Some(Value::Text(text)) => {
                let Some(kind) = plan.kinds.get(*column) else {
                    return Err(BindError::Absent(name()));
                };
                let value = cell(*kind, text)
                    .map_err(|error| BindError::Unfit { column: name(), error })?;
                statement.raw_bind_parameter(place + 1, value)?;
            }
            Some(Value::Binary(_)) => return Err(BindError::Binary(name())),
            Some(Value::Unchanged) | None => return Err(BindError::Absent(name())),
        }
    }
    Ok(())
}

fn rows_of<R>(change: &Change<R>) -> (Option<&Tuple>, Option<&Tuple>) {
    match change {
        Change::Insert { new, .. } => (None, Some(new)),
        Change::Update { old, new, .. } => (old.as_ref().map(old_tuple), Some(new)),
        Change::Delete { old, .. } => (Some(old_tuple(old)), None),
        Change::Truncate { .. } | Change::Message { .. } => (None, None),
    }
}

fn name_of(relation: &Relation, column: usize) -> String {
    relation.columns.get(column).map_or_else(|| column.to_string(), |column| column.name.clone())
}
