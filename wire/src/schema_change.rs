use std::fmt;

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

/// What it changed, in a few words: `public.orders: +note text, -old, a → b`.
impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first =
            |of: &Option<Definitions>| of.as_ref().and_then(|of| of.tables.first().cloned());
        let words = match (first(&self.before), first(&self.after)) {
            (Some(was), _) if self.dropped => return write!(f, "{was}: dropped"),
            (Some(was), Some(is)) => {
                let renamed = was.to_string() != is.to_string();
                let mut words = vec![format!("→ {is}")];
                words.retain(|_| renamed);
                words.extend(column_words(&was, &is));
                if words.is_empty() {
                    words.push("keys, defaults or types".into());
                }
                write!(f, "{was}: ")?;
                words
            }
            (None, Some(is)) => {
                write!(f, "{is}: ")?;
                vec!["new".into()]
            }
            (Some(was), None) => {
                write!(f, "{was}: ")?;
                vec!["not published any more".into()]
            }
            (None, None) => return write!(f, "table {}", self.oid),
        };
        write!(f, "{}", words.join(", "))?;
        if self.rows_needed { write!(f, " (its rows come only with a snapshot)") } else { Ok(()) }
    }
}

fn column_words(was: &TableDefinition, is: &TableDefinition) -> Vec<String> {
    let mut words = Vec::new();
    for now in &is.columns {
        match was.columns.iter().find(|column| column.number == now.number) {
            None => words.push(format!("+{} {}", now.name, now.type_sql)),
            Some(old) => {
                if old.name != now.name {
                    words.push(format!("{} → {}", old.name, now.name));
                }
                if old.type_sql != now.type_sql {
                    words.push(format!("{} {}", now.name, now.type_sql));
                }
            }
        }
    }
    let stays = |number| is.columns.iter().any(|column| column.number == number);
    let gone = was.columns.iter().filter(|column| !stays(column.number));
    words.extend(gone.map(|column| format!("-{}", column.name)));
    words
}

impl SchemaChange {
    /// The table as it is now, or as it was.
    pub fn table(&self) -> Option<&TableDefinition> {
        let definitions = self.after.as_ref().or(self.before.as_ref())?;
        definitions.tables.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ColumnDefinition;

    fn definitions(name: &str, columns: &[(i16, &str, &str)]) -> Option<Definitions> {
        let column = |(number, name, type_sql): &(i16, &str, &str)| ColumnDefinition {
            number: *number,
            name: (*name).into(),
            type_sql: (*type_sql).into(),
            base_type: (*type_sql).into(),
            base_modifier: -1,
            not_null: false,
            default: None,
            generated: None,
            identity: None,
            collation: None,
            missing: None,
        };
        let table = TableDefinition {
            oid: 1,
            schema: "public".into(),
            name: name.into(),
            replica_identity: 'd',
            columns: columns.iter().map(column).collect(),
            primary_key: Vec::new(),
            identity_columns: Vec::new(),
            constraints: Vec::new(),
            indexes: Vec::new(),
            partition_by: None,
            partition_of: None,
        };
        Some(Definitions { tables: vec![table], ..Definitions::default() })
    }

    #[test]
    fn in_words() {
        let before = definitions("orders", &[(1, "a", "int"), (2, "old", "int"), (3, "c", "int")]);
        let after =
            definitions("orders", &[(1, "b", "int"), (3, "c", "text"), (4, "note", "text")]);
        let renamed = definitions("sales", &[(1, "a", "int"), (2, "old", "int"), (3, "c", "int")]);
        let change = |before: &Option<Definitions>, after: &Option<Definitions>| SchemaChange {
            oid: 1,
            before: before.clone(),
            after: after.clone(),
            dropped: false,
            rows_needed: false,
        };
        for (change, words) in [
            (change(&before, &after), "public.orders: a → b, c text, +note text, -old"),
            (change(&before, &renamed), "public.orders: → public.sales"),
            (change(&before, &before), "public.orders: keys, defaults or types"),
            (change(&None, &after), "public.orders: new"),
            (change(&before, &None), "public.orders: not published any more"),
            (
                SchemaChange { rows_needed: true, ..change(&None, &after) },
                "public.orders: new (its rows come only with a snapshot)",
            ),
            (SchemaChange { dropped: true, ..change(&before, &None) }, "public.orders: dropped"),
        ] {
            assert_eq!(change.to_string(), words);
        }
    }
}
