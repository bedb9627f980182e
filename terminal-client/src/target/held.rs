//! Transactions that are kept aside because they could not be applied, and how they are written down (pure).

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wire::{Change, Lsn, OldRow, Relation, Tuple, Value};

use super::operation::Operation;

/// A source transaction in quarantine, whole.
#[derive(Clone, Debug)]
pub struct HeldTransaction {
    /// Its position.
    pub lsn: Lsn,
    /// Why it is there.
    pub why: String,
    /// Its changes, in order.
    pub operations: Vec<Operation>,
}

/// A foreign key of a table here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The table that refers, as `schema.table`.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table that is referred to, as `schema.table`.
    pub parent: String,
    /// Its columns.
    pub parent_columns: Vec<String>,
}

/// As it is written down: JSON that people can read, and from which the changes come back exactly.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    changes: Vec<WrittenChange>,
    /// Definitions of the tables, by the number that changes have for them.
    definitions: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WrittenChange {
    kind: String,
    table: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    definitions: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_key: Option<Vec<WrittenValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_row: Option<Vec<WrittenValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new: Option<Vec<WrittenValue>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cascade: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    restart_identity: bool,
}

/// `null`, a text, or an object that says what else it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenValue {
    Text(String),
    Other(Other),
    Null(()),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Other {
    Unchanged(bool),
    TextHex(String),
    BinaryHex(String),
}

/// What is written down cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnreadableHeld(String);

impl HeldTransaction {
    /// Bytes that its values take.
    pub fn len(&self) -> usize {
        self.operations.iter().map(Operation::len).sum()
    }

    /// Whether it has no changes.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Its changes as JSON.
    pub fn to_json(&self) -> String {
        let (mut numbers, mut definitions) = (HashMap::new(), Vec::new());
        let mut number = |relation: &Arc<Relation>| {
            *numbers.entry(relation.id()).or_insert_with(|| {
                definitions.push(hex::encode(relation.encode()));
                definitions.len() - 1
            })
        };
        let changes = self.operations.iter().filter_map(|operation| {
            let mut written = WrittenChange {
                kind: operation.kind().to_owned(),
                table: operation.tables(),
                definitions: operation.change.relations().iter().map(&mut number).collect(),
                old_key: None,
                old_row: None,
                new: None,
                cascade: false,
                restart_identity: false,
            };
            let put_old = |written: &mut WrittenChange, old: &OldRow| match old {
                OldRow::Key(row) => written.old_key = Some(put(row)),
                OldRow::Full(row) => written.old_row = Some(put(row)),
            };
            match &operation.change {
                Change::Insert { new, .. } => written.new = Some(put(new)),
                Change::Update { old, new, .. } => {
                    if let Some(old) = old {
                        put_old(&mut written, old);
                    }
                    written.new = Some(put(new));
                }
                Change::Delete { old, .. } => put_old(&mut written, old),
                Change::Truncate { cascade, restart_identity, .. } => {
                    (written.cascade, written.restart_identity) = (*cascade, *restart_identity);
                }
                Change::Message { .. } => return None,
            }
            Some(written)
        });
        let changes = changes.collect();
        serde_json::to_string(&Written { changes, definitions }).unwrap_or_default()
    }

    /// From what [`Self::to_json`] gave.
    ///
    /// # Errors
    /// Where somebody changed it.
    pub fn from_json(lsn: Lsn, why: String, json: &str) -> Result<Self, UnreadableHeld> {
        let fail = |what: String| UnreadableHeld(what);
        let written: Written =
            serde_json::from_str(json).map_err(|error| fail(error.to_string()))?;
        let mut relations = Vec::new();
        for definition in &written.definitions {
            let bytes = hex::decode(definition).map_err(|error| fail(error.to_string()))?;
            let relation = Relation::decode(&bytes).map_err(|error| fail(error.to_string()))?;
            relations.push(Arc::new(relation));
        }
        let mut operations = Vec::new();
        for change in written.changes {
            let of = |at: &usize| {
                relations.get(*at).cloned().ok_or_else(|| fail(format!("no definition {at}")))
            };
            let of: Vec<_> = change.definitions.iter().map(of).collect::<Result<_, _>>()?;
            operations.push(Operation { lsn, change: read(change, of)? });
        }
        Ok(Self { lsn, why, operations })
    }
}

fn read(
    written: WrittenChange,
    relations: Vec<Arc<Relation>>,
) -> Result<Change<Arc<Relation>>, UnreadableHeld> {
    let lacks = |what: &str| UnreadableHeld(format!("a change without {what}"));
    let WrittenChange { kind, old_key, old_row, new, cascade, restart_identity, .. } = written;
    if kind == "truncate" {
        return Ok(Change::Truncate { relations, cascade, restart_identity });
    }
    let relation = relations.into_iter().next().ok_or_else(|| lacks("a definition"))?;
    let old = match (old_key, old_row) {
        (Some(row), _) => Some(OldRow::Key(take(row)?)),
        (None, Some(row)) => Some(OldRow::Full(take(row)?)),
        (None, None) => None,
    };
    let new = new.map(take).transpose()?;
    Ok(match kind.as_str() {
        "insert" => Change::Insert { relation, new: new.ok_or_else(|| lacks("its row"))? },
        "update" => Change::Update { relation, old, new: new.ok_or_else(|| lacks("its row"))? },
        "delete" => Change::Delete { relation, old: old.ok_or_else(|| lacks("its row"))? },
        other => return Err(UnreadableHeld(format!("a change of the kind '{other}'"))),
    })
}

fn put(row: &Tuple) -> Vec<WrittenValue> {
    let value = |value: &Value| match value {
        Value::Null => WrittenValue::Null(()),
        Value::Unchanged => WrittenValue::Other(Other::Unchanged(true)),
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => WrittenValue::Text(text.to_owned()),
            Err(_) => WrittenValue::Other(Other::TextHex(hex::encode(bytes))),
        },
        Value::Binary(bytes) => WrittenValue::Other(Other::BinaryHex(hex::encode(bytes))),
    };
    row.iter().map(value).collect()
}

fn take(row: Vec<WrittenValue>) -> Result<Tuple, UnreadableHeld> {
    let bytes = |text: String| {
        hex::decode(text).map(Bytes::from).map_err(|error| UnreadableHeld(error.to_string()))
    };
    let value = |value| {
        Ok(match value {
            WrittenValue::Null(()) => Value::Null,
            WrittenValue::Text(text) => Value::Text(text.into()),
            WrittenValue::Other(Other::Unchanged(_)) => Value::Unchanged,
            WrittenValue::Other(Other::TextHex(text)) => Value::Text(bytes(text)?),
            WrittenValue::Other(Other::BinaryHex(text)) => Value::Binary(bytes(text)?),
        })
    };
    row.into_iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use wire::{RelationColumn, ReplicaIdentity, TypeName};

    use super::*;

    #[test]
    fn what_is_written_down_comes_back_exactly() {
        let column = |name: &str, key| RelationColumn {
            name: name.into(),
            key,
            type_name: TypeName { schema: "pg_catalog".into(), name: "text".into() },
            type_oid: 25,
            type_modifier: -1,
        };
        let table = |name: &str| {
            Arc::new(Relation {
                oid: 7,
                schema: "public".into(),
                name: name.into(),
                identity: ReplicaIdentity::Default,
                columns: vec![column("id", true), column("v", false)],
            })
        };
        let (relation, other) = (table("t"), table("u"));
        let row = |v: Value| vec![Value::Text("1".into()), v];
        let odd = Value::Text(Bytes::from_static(b"\xff\x00"));
        let changes = [
            Change::Insert { relation: relation.clone(), new: row(Value::Null) },
            Change::Insert { relation: other.clone(), new: row(odd) },
            Change::Update { relation: relation.clone(), old: None, new: row(Value::Unchanged) },
            Change::Update {
                relation: relation.clone(),
                old: Some(OldRow::Key(row(Value::Null))),
                new: row(Value::Text("{\"unchanged\":true}".into())),
            },
            Change::Delete {
                relation: relation.clone(),
                old: OldRow::Full(row(Value::Binary(Bytes::from_static(b"\x01")))),
            },
            Change::Truncate {
                relations: vec![relation, other],
                cascade: true,
                restart_identity: false,
            },
        ];
        let lsn = Lsn::new(9);
        let operations: Vec<_> =
            changes.into_iter().map(|change| Operation { lsn, change }).collect();
        let held = HeldTransaction { lsn, why: "x".into(), operations };
        let back = HeldTransaction::from_json(lsn, "x".into(), &held.to_json()).unwrap();
        assert_eq!(format!("{back:?}"), format!("{held:?}"));
        assert!(held.to_json().contains("\"table\":\"public.t\""));
    }
}
