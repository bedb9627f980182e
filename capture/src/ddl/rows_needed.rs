use serde::Deserialize;
use wire::{Lsn, SCHEMA, SCHEMA_CHANGE_COLUMN, SCHEMA_CHANGES};

use crate::pgoutput::{Message, Value};

/// Finds, in the stream, schema changes that left rows out of it.
#[derive(Debug, Default)]
pub struct RowsNeeded {
    /// The table of schema changes, and which of its columns tells.
    table: Option<(u32, usize)>,
    commit_start: Lsn,
}

/// All that matters here of a [`wire::SchemaChange`].
#[derive(Deserialize)]
struct Flag {
    #[serde(default)]
    rows_needed: bool,
}

impl RowsNeeded {
    /// The start of the commit record beyond which a snapshot has the rows.
    pub fn look(&mut self, message: &Message) -> Option<Lsn> {
        match message {
            Message::Begin(begin) => self.commit_start = begin.final_lsn,
            Message::Relation(of) if (&*of.schema, &*of.name) == (SCHEMA, SCHEMA_CHANGES) => {
                let column =
                    of.columns.iter().position(|column| column.name == SCHEMA_CHANGE_COLUMN);
                self.table = column.map(|column| (of.oid, column));
            }
            Message::Insert(insert) => {
                let (_, column) = self.table.filter(|(oid, _)| *oid == insert.relation_oid)?;
                let Value::Text(text) = insert.new.values().nth(column)? else { return None };
                let flag: Flag = serde_json::from_slice(text).ok()?;
                return flag.rows_needed.then_some(self.commit_start);
            }
            _ => {}
        }
        None
    }
}
