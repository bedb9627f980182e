use serde::Deserialize;
use wire::{JoinedTable, Lsn, SCHEMA, SCHEMA_CHANGE_COLUMN, SCHEMA_CHANGES};

use super::error::DdlError;
use crate::pgoutput::{Message, Value};

/// Finds, in the stream, schema changes and tables that joined which left rows out of it; and a table of schema changes that is not ours.
#[derive(Debug)]
pub struct RowsNeeded {
    trusted: Option<u32>,
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
    /// `trusted` is the OID of the table that was installed.
    pub fn new(trusted: Option<u32>) -> Self {
        Self { trusted, table: None, commit_start: Lsn::ZERO }
    }

    /// The start of the commit record beyond which a snapshot has the rows.
    pub fn look(&mut self, message: &Message) -> Result<Option<Lsn>, DdlError> {
        match message {
            Message::Begin(begin) => self.commit_start = begin.final_lsn,
            Message::Relation(of) if (&*of.schema, &*of.name) == (SCHEMA, SCHEMA_CHANGES) => {
                let column =
                    of.columns.iter().position(|column| column.name == SCHEMA_CHANGE_COLUMN);
                if self.trusted != Some(of.oid) {
                    return Err(DdlError::Untrusted { oid: of.oid });
                }
                self.table = column.map(|column| (of.oid, column));
            }
            Message::Insert(insert) => {
                let told = self.table.filter(|(oid, _)| *oid == insert.relation_oid);
                let value = told.and_then(|(_, column)| insert.new.values().nth(column));
                let Some(Value::Text(text)) = value else { return Ok(None) };
                let flag: Option<Flag> = serde_json::from_slice(text).ok();
                return Ok(flag.filter(|flag| flag.rows_needed).map(|_| self.commit_start));
            }
            Message::Logical(of) if of.transactional => {
                let joined = JoinedTable::told(&of.prefix, &of.content);
                return Ok(joined.map(|_| self.commit_start));
            }
            _ => {}
        }
        Ok(None)
    }
}
