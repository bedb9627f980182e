use wire::TypeKind;

use super::super::super::{
    create::type_sql,
    quote::{ident, literal, qualified},
};

/// One thing to do to a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum TypeAct {
    Create(TypeKind),
    Rename(String),
    SetSchema(String),
    /// Behind the label given, or before the first.
    AddLabel {
        label: String,
        before: Option<String>,
        behind: Option<String>,
    },
    RenameLabel {
        from: String,
        to: String,
    },
    DropCheck(String),
    AddCheck(String),
    SetDefault(String),
    DropDefault,
    SetNotNull,
    DropNotNull,
    AddField {
        name: String,
        type_sql: String,
    },
    DropField(String),
    RenameField {
        from: String,
        to: String,
    },
    RetypeField {
        name: String,
        type_sql: String,
    },
}

impl TypeAct {
    /// Its statement.
    pub(in super::super) fn sql(&self, schema: &str, name: &str) -> String {
        let of = qualified(schema, name);
        let alter = |what: String| format!("ALTER TYPE {of} {what}");
        let domain = |what: &str| format!("ALTER DOMAIN {of} {what}");
        match self {
            Self::Create(kind) => type_sql(&of, kind),
            Self::Rename(to) => alter(format!("RENAME TO {}", ident(to))),
            Self::SetSchema(to) => alter(format!("SET SCHEMA {}", ident(to))),
            Self::AddLabel { label, before, behind } => {
                let place = |word: &str, other: &String| format!(" {word} {}", literal(other));
                let before = before.as_ref().map(|other| place("BEFORE", other));
                let place = behind.as_ref().map(|other| place("AFTER", other)).or(before);
                alter(format!("ADD VALUE {}{}", literal(label), place.unwrap_or_default()))
            }
            Self::RenameLabel { from, to } => {
                alter(format!("RENAME VALUE {} TO {}", literal(from), literal(to)))
            }
            Self::DropCheck(check) => domain(&format!("DROP CONSTRAINT {}", ident(check))),
            Self::AddCheck(check) => domain(&format!("ADD {check}")),
            Self::SetDefault(default) => domain(&format!("SET DEFAULT {default}")),
            Self::DropDefault => domain("DROP DEFAULT"),
            Self::SetNotNull => domain("SET NOT NULL"),
            Self::DropNotNull => domain("DROP NOT NULL"),
            Self::AddField { name, type_sql } => {
                alter(format!("ADD ATTRIBUTE {} {type_sql}", ident(name)))
            }
            Self::DropField(name) => alter(format!("DROP ATTRIBUTE {}", ident(name))),
            Self::RenameField { from, to } => {
                alter(format!("RENAME ATTRIBUTE {} TO {}", ident(from), ident(to)))
            }
            Self::RetypeField { name, type_sql } => {
                alter(format!("ALTER ATTRIBUTE {} TYPE {type_sql}", ident(name)))
            }
        }
    }

    /// Whether the rows to come do without it.
    pub(in super::super) const fn may_fail(&self) -> bool {
        matches!(self, Self::AddCheck(_) | Self::SetNotNull | Self::SetDefault(_))
    }
}
