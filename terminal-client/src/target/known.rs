//! What the stream told of a table last, which a relation message is held against: what it does not have any
//! more was dropped, renamed or left out of the publication. Whatever else the table here has is its own.

use serde::{Deserialize, Serialize};
use wire::{Relation, SchemaChange, SnapshotTable, TableDefinition};

use super::{error::LATER_COLUMN, named::Named};

/// A table as the stream knows it: its name and its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTable {
    /// Its name.
    #[serde(flatten)]
    pub table: Named,
    /// The columns that it sends.
    pub columns: Vec<String>,
}

impl KnownTable {
    /// From a relation message.
    pub fn of_relation(of: &Relation) -> Self {
        let columns = of.columns.iter().map(|column| column.name.clone()).collect();
        Self { table: Named::new(&of.schema, &of.name), columns }
    }

    /// From a snapshot.
    pub fn of_snapshot(of: &SnapshotTable) -> Self {
        Self { table: Named::new(&of.schema, &of.name), columns: of.columns.clone() }
    }

    /// From what a schema change left; none where nothing is known any more.
    pub fn behind(change: &SchemaChange) -> Option<Self> {
        let of: &TableDefinition = change.after.as_ref()?.tables.first()?;
        let sent = of.columns.iter().filter(|column| column.generated.is_none());
        let columns = sent.map(|column| column.name.clone()).collect();
        Some(Self { table: Named::new(&of.schema, &of.name), columns })
    }

    /// Whether the table has another name now.
    pub fn is_renamed(&self, relation: &Relation) -> bool {
        (&self.table.schema, &self.table.name) != (&relation.schema, &relation.name)
    }

    /// The columns that the relation does not have any more.
    pub fn gone(&self, relation: &Relation) -> Vec<&str> {
        let comes = |name: &str| relation.columns.iter().any(|column| column.name == name);
        self.columns.iter().map(String::as_str).filter(|name| !comes(name)).collect()
    }
}

/// What is wrong where columns are gone that are here, and what to do: `table` and columns as the target's SQL
/// has them, new ones with their types; `before` says what has to be done before columns can be dropped.
pub fn gone_columns(
    table: &str,
    gone: &[String],
    new: &[(String, String)],
    before: &str,
) -> (String, String) {
    let list = gone.join(", ");
    let why = format!(
        "the stream has no {list} any more: on the master it was dropped or renamed, or left out of the publication"
    );
    let drops: Vec<String> =
        gone.iter().map(|name| format!("ALTER TABLE {table} DROP COLUMN {name}")).collect();
    let (drops, names): (_, Vec<&str>) =
        (drops.join("; "), new.iter().map(|(name, _)| name.as_str()).collect());
    if new.is_empty() {
        let advice = format!(
            "run {before}{drops} (to keep what is here, give the column another name instead), then pull again"
        );
        return (why, advice);
    }
    let adds: Vec<String> = new
        .iter()
        .map(|(name, of)| format!("ALTER TABLE {table} ADD COLUMN {name} {of}"))
        .collect();
    let advice = format!(
        "there is {} instead. If that is its new name, run ALTER TABLE {table} RENAME COLUMN {} TO {}; if it was dropped, and the \
         other is a new column, run {before}{drops}; {}. Then pull again. {LATER_COLUMN}",
        names.join(", "),
        gone.first().map_or("", String::as_str),
        names.first().copied().unwrap_or_default(),
        adds.join("; ")
    );
    (why, advice)
}

/// What is wrong where the table of a name is another one on the master than before, and what to do.
pub fn another_table(table: &str) -> (String, String) {
    let why = "the table of that name is another one on the master than the one whose rows are here: that was renamed or \
               dropped there";
    let advice = format!(
        "if it was renamed, give {table} its other name here too; if it was dropped, run DELETE FROM {table}; then pull again"
    );
    (why.to_owned(), advice)
}

/// What is wrong where a table has another name on the master, and what to do.
pub fn renamed_table(from: &str, to: &str, statements: &str) -> (String, String) {
    let why = format!("it is the master's table that is here as {from}, and was renamed there");
    (why, format!("run {statements}, so that it is {to} here too; then pull again"))
}
