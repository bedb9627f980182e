use serde::{Deserialize, Serialize};

use crate::{Definitions, TableDefinition};

/// The schema that capture keeps its own tables in on the master.
pub const SCHEMA: &str = "tailwater";

/// The table there whose inserted rows are schema changes.
pub const SCHEMA_CHANGES: &str = "schema_changes";

/// The column of that table which holds a [`SchemaChange`].
pub const SCHEMA_CHANGE_COLUMN: &str = "change";

/// What one statement on the master changed of one table: its state before and after, not the
/// statement. JSON in a row of `tailwater.schema_changes`, in channel `control`, between the
/// changes that came before it and those that came after.
///
/// Unlike a logical message, which any role may write, such a row can come only from the function
/// that capture installed: nobody else may write to that table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaChange {
    /// The table's OID on the master, which stays through renames.
    pub oid: u32,
    /// The table alone, with the schemas, extensions and types it needs. None where it was not
    /// published before.
    pub before: Option<Definitions>,
    /// None where it is not published any more.
    pub after: Option<Definitions>,
    /// It is not there any more, or is about to be made anew.
    #[serde(default)]
    pub dropped: bool,
    /// Rows that were there have values now that the stream does not tell (the table was rewritten, or
    /// joined with rows in it): only a snapshot from here on has them.
    #[serde(default)]
    pub rows_needed: bool,
}

impl SchemaChange {
    /// The table as it is now, or as it was.
    pub fn table(&self) -> Option<&TableDefinition> {
        let definitions = self.after.as_ref().or(self.before.as_ref())?;
        definitions.tables.first()
    }
}
