use wire::{ColumnDefinition, IdentityKind};

use super::super::quote::{ident, literal, qualified};

/// One thing to do to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// From the partitioned table of that schema and name.
    Detach {
        schema: String,
        name: String,
    },
    Attach {
        schema: String,
        name: String,
        bound: String,
    },
    SetSchema(String),
    RenameTable(String),
    DropColumn(String),
    RenameColumn {
        from: String,
        to: String,
    },
    /// With the value, as SQL, of rows that are there already.
    AddColumn {
        column: ColumnDefinition,
        value: Option<String>,
    },
    /// Gives that value to rows that have none, for they were there before the column was; to all rows where
    /// the column came just now with a whole's, which has another value for them.
    Fill {
        column: String,
        type_sql: String,
        value: String,
        whole: bool,
    },
    Retype {
        column: String,
        type_sql: String,
        collation: Option<String>,
    },
    /// Of a table without rows: there need be no way from the old type.
    RetypeEmpty {
        column: String,
        type_sql: String,
        collation: Option<String>,
    },
    SetDefault {
        column: String,
        default: String,
    },
    DropDefault(String),
    SetNotNull(String),
    DropNotNull(String),
    AddIdentity(String, IdentityKind),
    SetIdentity(String, IdentityKind),
    DropIdentity(String),
    /// It computes its values another way.
    SetExpression {
        column: String,
        type_sql: String,
        expression: String,
    },
    DropExpression(String),
    DropConstraint(String),
    RenameConstraint {
        from: String,
        to: String,
    },
    AddConstraint {
        name: String,
        kind: char,
        definition: String,
    },
    DropIndex(String),
    RenameIndex {
        from: String,
        to: String,
    },
    AddIndex {
        name: String,
        definition: String,
    },
}

impl Act {
    /// Its statements, the second for where the first is refused.
    pub(super) fn sql(&self, schema: &str, name: &str) -> (String, Option<String>) {
        let table = qualified(schema, name);
        let alter = |what: String| (format!("ALTER TABLE {table} {what}"), None);
        let column = |column: &str, what: String| {
            (format!("ALTER TABLE {table} ALTER COLUMN {} {what}", ident(column)), None)
        };
        match self {
            Self::Detach { schema, name } => {
                (format!("ALTER TABLE {} DETACH PARTITION {table}", qualified(schema, name)), None)
            }
            Self::Attach { schema, name, bound } => (
                format!("ALTER TABLE {} ATTACH PARTITION {table} {bound}", qualified(schema, name)),
                None,
            ),
            Self::SetSchema(to) => alter(format!("SET SCHEMA {}", ident(to))),
            Self::RenameTable(to) => alter(format!("RENAME TO {}", ident(to))),
            Self::DropColumn(column) => alter(format!("DROP COLUMN {}", ident(column))),
            Self::RenameColumn { from, to } => {
                alter(format!("RENAME COLUMN {} TO {}", ident(from), ident(to)))
            }
            Self::AddColumn { column, value } => {
                let value = value.as_deref();
                let add = |collate| format!("ADD COLUMN {}", added(column, value, collate));
                let plain = column.collation.is_some().then(|| alter(add(false)).0);
                (alter(add(true)).0, plain)
            }
            Self::Fill { column, type_sql, value, whole } => {
                let value = format!("{}::{type_sql}", literal(value));
                (fill(&table, &ident(column), &value, *whole), None)
            }
            Self::Retype { column: of, type_sql, collation } => {
                retype(&table, of, (type_sql, collation.as_ref()), &ident(of))
            }
            Self::RetypeEmpty { column: of, type_sql, collation } => {
                retype(&table, of, (type_sql, collation.as_ref()), "NULL")
            }
            Self::SetDefault { column: of, default } => {
                column(of, format!("SET DEFAULT {default}"))
            }
            Self::DropDefault(of) => column(of, "DROP DEFAULT".into()),
            Self::SetNotNull(of) => column(of, "SET NOT NULL".into()),
            Self::DropNotNull(of) => column(of, "DROP NOT NULL".into()),
            Self::AddIdentity(of, kind) => {
                column(of, format!("ADD GENERATED {} AS IDENTITY", words(*kind)))
            }
            Self::SetIdentity(of, kind) => column(of, format!("SET GENERATED {}", words(*kind))),
            Self::DropIdentity(of) => column(of, "DROP IDENTITY".into()),
            Self::SetExpression { column: of, type_sql, expression } => {
                let quoted = ident(of);
                let anew = format!(
                    "DROP COLUMN {quoted}, ADD COLUMN {quoted} {type_sql} GENERATED ALWAYS AS ({expression}) STORED"
                );
                // Before 17 it can only be made anew.
                let set = column(of, format!("SET EXPRESSION AS ({expression})")).0;
                (set, Some(alter(anew).0))
            }
            Self::DropExpression(of) => column(of, "DROP EXPRESSION".into()),
            Self::DropConstraint(of) => alter(format!("DROP CONSTRAINT {}", ident(of))),
            Self::RenameConstraint { from, to } => {
                alter(format!("RENAME CONSTRAINT {} TO {}", ident(from), ident(to)))
            }
            Self::AddConstraint { name, definition, .. } => {
                alter(format!("ADD CONSTRAINT {} {definition}", ident(name)))
            }
            Self::DropIndex(of) => (format!("DROP INDEX {}", qualified(schema, of)), None),
            Self::RenameIndex { from, to } => {
                (format!("ALTER INDEX {} RENAME TO {}", qualified(schema, from), ident(to)), None)
            }
            Self::AddIndex { definition, .. } => (definition.clone(), None),
        }
    }

    /// The same for a table that has no rows.
    pub(super) fn on_empty(self) -> Self {
        match self {
            Self::Retype { column, type_sql, collation } => {
                Self::RetypeEmpty { column, type_sql, collation }
            }
            other => other,
        }
    }

    /// Whether the rows to come do without it: it only guards what the source has checked already,
    /// makes reading faster, or is for rows that are written at the target itself.
    pub(super) const fn may_fail(&self) -> bool {
        match self {
            Self::SetDefault { .. }
            | Self::SetNotNull(_)
            | Self::AddIdentity(..)
            | Self::SetIdentity(..)
            | Self::RenameConstraint { .. }
            | Self::RenameIndex { .. }
            | Self::DropIndex(_)
            | Self::AddIndex { .. } => true,
            Self::AddConstraint { kind, .. } => !matches!(kind, 'p' | 'u'),
            _ => false,
        }
    }
}

const fn words(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::Always => "ALWAYS",
        IdentityKind::ByDefault => "BY DEFAULT",
    }
}

/// A column with the default that rows get which are there; its own is set behind.
fn added(column: &ColumnDefinition, value: Option<&str>, collate: bool) -> String {
    let mut sql = format!("{} {}", ident(&column.name), column.type_sql);
    if let Some(collation) = column.collation.as_ref().filter(|_| collate) {
        sql = format!("{sql} COLLATE {collation}");
    }
    if let Some(expression) = &column.generated {
        sql = format!("{sql} GENERATED ALWAYS AS ({expression}) STORED");
    }
    if let Some(value) = value {
        sql = format!("{sql} DEFAULT {value}");
    }
    if let Some(identity) = column.identity {
        sql = format!("{sql} GENERATED {} AS IDENTITY", words(identity));
    }
    if column.not_null {
        sql.push_str(" NOT NULL");
    }
    sql
}

fn retype(
    table: &str,
    column: &str,
    (type_sql, collation): (&str, Option<&String>),
    value: &str,
) -> (String, Option<String>) {
    let to = |collate: &str| {
        format!(
            "ALTER TABLE {table} ALTER COLUMN {} TYPE {type_sql}{collate} USING {value}::{type_sql}",
            ident(column)
        )
    };
    let collate = collation.map(|collation| format!(" COLLATE {collation}"));
    let plain = collation.map(|_| to(""));
    (to(&collate.unwrap_or_default()), plain)
}

/// As texts, because a type need not have an `=`.
fn fill(table: &str, column: &str, value: &str, whole: bool) -> String {
    let lack = match whole {
        true => format!("{column}::pg_catalog.text IS DISTINCT FROM ({value})::pg_catalog.text"),
        false => format!("{column} IS NULL"),
    };
    format!("UPDATE {table} SET {column} = {value} WHERE {lack}")
}
