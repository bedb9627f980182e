use std::{fmt::Write as _, sync::Arc};

use bytes::Bytes;
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
        let key = self.key_text();
        if key.is_empty() { key } else { format!(", key ({key})") }
    }

    /// The key of the row that it means, as `a=1, b=2`; nothing where it has none.
    pub fn key_text(&self) -> String {
        let (relation, tuple) = match &self.change {
            Change::Insert { relation, new } => (relation, new),
            Change::Update { relation, old, new } => {
                (relation, old.as_ref().map_or(new, old_tuple))
            }
            Change::Delete { relation, old } => (relation, old_tuple(old)),
            Change::Truncate { .. } | Change::Message { .. } => return String::new(),
        };
        key_text(relation, tuple)
    }

    /// Bytes that its values take here.
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

impl Operation {
    /// Lets large values go, of which a message shows only the beginning.
    pub fn shorten(&mut self) {
        match &mut self.change {
            Change::Insert { new, .. } => shorten(new),
            Change::Update { old, new, .. } => {
                shorten(new);
                if let Some(OldRow::Key(old) | OldRow::Full(old)) = old {
                    shorten(old);
                }
            }
            Change::Delete { old: OldRow::Key(old) | OldRow::Full(old), .. } => shorten(old),
            Change::Truncate { .. } | Change::Message { .. } => {}
        }
    }
}

fn shorten(tuple: &mut Tuple) {
    for value in tuple {
        if let Value::Text(bytes) | Value::Binary(bytes) = value {
            let shown = bytes.get(..bytes.len().min(4 * SHOWN_CHARS + 1)).unwrap_or_default();
            *bytes = Bytes::copy_from_slice(shown);
        }
    }
}

/// The values of an old row, whether key or all.
pub fn old_tuple(old: &OldRow) -> &Tuple {
    match old {
        OldRow::Key(tuple) | OldRow::Full(tuple) => tuple,
    }
}

/// The name of a column whose value a row does not carry.
pub fn unchanged_column<'r>(relation: &'r Relation, row: &Tuple) -> Option<&'r str> {
    let mut columns = relation.columns.iter().zip(row);
    columns.find(|(_, value)| **value == Value::Unchanged).map(|(column, _)| column.name.as_str())
}

fn value_len(value: &Value) -> usize {
    let content = match value {
        Value::Null | Value::Unchanged => 0,
        Value::Text(bytes) | Value::Binary(bytes) => bytes.len(),
    };
    size_of::<Value>() + content
}

fn key_text(relation: &Relation, tuple: &Tuple) -> String {
    let mut shown = String::new();
    let keys = relation.columns.iter().zip(tuple).filter(|(column, _)| column.key);
    for (column, value) in keys.take(8) {
        let between = if shown.is_empty() { "" } else { ", " };
        let _ = write!(shown, "{between}{}={}", column.name, shown_value(value));
    }
    shown
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

#[cfg(test)]
mod tests {
    use wire::{RelationColumn, ReplicaIdentity, TypeName};

    use super::*;

    #[test]
    fn a_shortened_operation_shows_the_same_key() {
        let column = RelationColumn {
            name: "k".into(),
            key: true,
            type_name: TypeName { schema: "pg_catalog".into(), name: "text".into() },
            type_oid: 25,
            type_modifier: -1,
        };
        let relation = Arc::new(Relation {
            oid: 1,
            schema: "s".into(),
            name: "t".into(),
            identity: ReplicaIdentity::Default,
            columns: vec![column],
        });
        for text in ["short".to_owned(), "ä".repeat(5_000), "x".repeat(241)] {
            let new = vec![Value::Text(text.clone().into())];
            let change = Change::Insert { relation: relation.clone(), new };
            let mut operation = Operation { lsn: Lsn::ZERO, change };
            let shown = operation.shown_key();
            assert!(shown.starts_with(", key (k=") && shown.chars().count() < 80, "{shown}");
            operation.shorten();
            assert_eq!(operation.shown_key(), shown);
            assert!(operation.len() < 300);
        }
    }
}
