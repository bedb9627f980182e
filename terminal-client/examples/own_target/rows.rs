//! Rows, and what a change does to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use terminal_client::{
    target::{Operation, old_tuple},
    wire::{Change, Relation, Value},
};

/// Column to value as text; none for NULL.
pub(crate) type Row = BTreeMap<String, Option<String>>;

/// A table, by the texts of its key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    /// The key's columns.
    pub(crate) key: Vec<String>,
    /// The rows. A key of several columns is one text, for JSON's sake.
    pub(crate) rows: BTreeMap<String, Row>,
}

impl Table {
    /// The key that the row has.
    pub(crate) fn key_of(&self, row: &Row) -> String {
        let values: Vec<&str> =
            self.key.iter().filter_map(|name| row.get(name)?.as_deref()).collect();
        format!("{values:?}")
    }

    /// Puts a row that must be new.
    pub(crate) fn insert(&mut self, row: Row) -> Result<(), String> {
        match self.rows.insert(self.key_of(&row), row) {
            None => Ok(()),
            Some(_) => Err("there is a row with its key".into()),
        }
    }

    fn remove(&mut self, row: &Row) -> Result<Row, String> {
        self.rows.remove(&self.key_of(row)).ok_or_else(|| "there is no such row".to_owned())
    }
}

/// Does one change; says why it cannot.
pub(crate) fn apply(
    tables: &mut BTreeMap<String, Table>,
    operation: &Operation,
) -> Result<(), String> {
    match &operation.change {
        Change::Insert { relation, new } => {
            let row = row_of(relation, new, None);
            table(tables, relation).insert(row)
        }
        Change::Update { relation, old, new } => {
            let table = table(tables, relation);
            let before = match old {
                Some(old) => row_of(relation, old_tuple(old), None),
                None => row_of(relation, new, None),
            };
            let before = table.remove(&before)?;
            table.insert(row_of(relation, new, Some(&before)))
        }
        Change::Delete { relation, old } => {
            let row = row_of(relation, old_tuple(old), None);
            table(tables, relation).remove(&row).map(drop)
        }
        Change::Truncate { relations, .. } => {
            for relation in relations {
                table(tables, relation).rows.clear();
            }
            Ok(())
        }
        Change::Message { .. } => Ok(()),
    }
}

/// The table of a change; one that is not there joined later.
fn table<'a>(tables: &'a mut BTreeMap<String, Table>, relation: &Relation) -> &'a mut Table {
    tables.entry(relation.to_string()).or_insert_with(|| {
        let key = relation.columns.iter().filter(|column| column.key);
        Table { key: key.map(|column| column.name.clone()).collect(), ..Table::default() }
    })
}

/// A large value that did not change is not sent: it is taken from the row before.
fn row_of(relation: &Relation, tuple: &[Value], before: Option<&Row>) -> Row {
    let value = |name: &str, value: &Value| match value {
        Value::Null => None,
        Value::Text(text) | Value::Binary(text) => Some(String::from_utf8_lossy(text).into_owned()),
        Value::Unchanged => before.and_then(|row| row.get(name).cloned().flatten()),
    };
    let columns = relation.columns.iter().zip(tuple);
    columns.map(|(column, of)| (column.name.clone(), value(&column.name, of))).collect()
}
