use std::{fmt::Write as _, sync::Arc};

use wire::{Change, Lsn, OldRow, Relation, Tuple, Value};

/// A change with the transaction it belongs to, for the target to apply.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The transaction's position.
    pub lsn: Lsn,
    /// The change.
    pub change: Change<Arc<Relation>>,
}

/// Longer values are cut in messages.
const SHOWN_CHARS: usize = 60;

impl Operation {
    /// insert, update, delete, truncate or message.
    pub fn kind(&self) -> &'static str {
        match self.change {
            Change::Insert { .. } => "insert",
            Change::Update { .. } => "update",
            Change::Delete { .. } => "delete",
            Change::Truncate { .. } => "truncate",
            Change::Message { .. } => "message",
        }
    }

    /// The tables, as `schema.table`, separated by commas.
    pub fn tables(&self) -> String {
        let names: Vec<String> = self.change.relations().iter().map(ToString::to_string).collect();
        names.join(", ")
    }

    /// `, key (a=1, b=2)` for a message; nothing where the change has no row.
    pub fn shown_key(&self) -> String {
        let (relation, tuple) = match &self.change {
            Change::Insert { relation, new } => (relation, new),
            Change::Update { relation, old, new } => {
                (relation, old.as_ref().map_or(new, old_tuple))
            }
            Change::Delete { relation, old } => (relation, old_tuple(old)),
            Change::Truncate { .. } | Change::Message { .. } => return String::new(),
        };
        shown_key(relation, tuple)
    }

    /// Bytes of its values.
    pub fn len(&self) -> usize {
        let tuple = |tuple: &Tuple| tuple.iter().map(value_len).sum::<usize>();
        match &self.change {
            Change::Insert { new, .. } => tuple(new),
            Change::Update { old, new, .. } => {
                tuple(new) + old.as_ref().map_or(0, |old| tuple(old_tuple(old)))
            }
            Change::Delete { old, .. } => tuple(old_tuple(old)),
            Change::Truncate { .. } => 0,
            Change::Message { content, .. } => content.len(),
        }
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The values of an old row, whether key or all.
pub fn old_tuple(old: &OldRow) -> &Tuple {
    match old {
        OldRow::Key(tuple) | OldRow::Full(tuple) => tuple,
    }
}

fn value_len(value: &Value) -> usize {
    match value {
        Value::Null | Value::Unchanged => 1,
        Value::Text(bytes) | Value::Binary(bytes) => bytes.len() + 8,
    }
}

fn shown_key(relation: &Relation, tuple: &Tuple) -> String {
    let mut shown = String::new();
    let keys = relation.columns.iter().zip(tuple).filter(|(column, _)| column.key);
    for (column, value) in keys.take(8) {
        let between = if shown.is_empty() { "" } else { ", " };
        let _ = write!(shown, "{between}{}={}", column.name, shown_value(value));
    }
    if shown.is_empty() { shown } else { format!(", key ({shown})") }
}

fn shown_value(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Unchanged => "(unchanged)".into(),
        Value::Text(bytes) => {
            let cut = bytes.get(..bytes.len().min(4 * SHOWN_CHARS)).unwrap_or_default();
            let text = String::from_utf8_lossy(cut);
            let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
            if shown.len() < bytes.len() {
                shown.push('…');
            }
            shown
        }
        Value::Binary(bytes) => format!("({} bytes)", bytes.len()),
    }
}
