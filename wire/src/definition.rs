//! Tables as the master's catalogue defines them: what a terminal needs to make them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Sequence;

/// All that is needed to create a set of tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// Extensions that are used.
    pub extensions: Vec<ExtensionDefinition>,
    /// Schemas.
    pub schemas: Vec<String>,
    /// User types, each after those it uses.
    pub types: Vec<TypeDefinition>,
    /// Tables; a partitioned table before its partitions.
    pub tables: Vec<TableDefinition>,
    /// Sequences that the tables' columns take values from.
    #[serde(default)]
    pub sequences: Vec<Sequence>,
}

/// An extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionDefinition {
    /// Its name.
    pub name: String,
    /// The schema that its objects are in.
    pub schema: String,
}

/// A user type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeDefinition {
    /// Its OID on the master, which stays through renames.
    #[serde(default)]
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: TypeKind,
}

/// What a user type is. Types inside are written as `format_type` writes them, qualified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TypeKind {
    /// An enum.
    Enum {
        /// Its labels in order.
        labels: Vec<String>,
    },
    /// A domain.
    Domain {
        /// The type below.
        base: String,
        /// `NOT NULL`.
        not_null: bool,
        /// Its default expression.
        default: Option<String>,
        /// Its checks, as `pg_get_constraintdef` gives them.
        checks: Vec<String>,
    },
    /// A composite type.
    Composite {
        /// Its fields, name and type.
        fields: Vec<(String, String)>,
    },
    /// A range type.
    Range {
        /// The type below.
        subtype: String,
    },
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDefinition {
    /// Its OID on the master.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `pg_class.relreplident`: `d`, `n`, `f`, `i`.
    pub replica_identity: char,
    /// Its columns in order, without dropped ones.
    pub columns: Vec<ColumnDefinition>,
    /// Names of the primary key's columns in order; empty where there is none.
    pub primary_key: Vec<String>,
    /// Names of the replica identity's columns in order (all of them for FULL).
    pub identity_columns: Vec<String>,
    /// Constraints, primary key too.
    pub constraints: Vec<ConstraintDefinition>,
    /// Indexes that no constraint makes.
    pub indexes: Vec<IndexDefinition>,
    /// `PARTITION BY` clause, e.g. `RANGE (at)`, where it is partitioned.
    pub partition_by: Option<String>,
    /// Whose partition it is.
    pub partition_of: Option<PartitionOf>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDefinition {
    /// `pg_attribute.attnum`: stays its own through every rename, and is never another's.
    #[serde(default)]
    pub number: i16,
    /// Its name.
    pub name: String,
    /// Its type as `format_type` writes it, qualified where it is a user's: `numeric(10,2)`.
    pub type_sql: String,
    /// The name of the type below all domains as in `pg_type.typname`, e.g. `numeric`, `_int4`.
    pub base_type: String,
    /// The type modifier of that base type, -1 for none.
    pub base_modifier: i32,
    /// `NOT NULL`.
    pub not_null: bool,
    /// Its default expression.
    pub default: Option<String>,
    /// Its expression where it is a stored generated column.
    pub generated: Option<String>,
    /// Its identity.
    pub identity: Option<IdentityKind>,
    /// Its collation where it is not the type's own, qualified and quoted.
    pub collation: Option<String>,
    /// The value, in text form, of rows that were there before the column was added with a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// `GENERATED … AS IDENTITY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// `ALWAYS`.
    Always,
    /// `BY DEFAULT`.
    ByDefault,
}

/// A constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConstraintDefinition {
    /// Its name.
    pub name: String,
    /// `pg_constraint.contype`: `p` primary key, `u` unique, `c` check, `f` foreign key, `x` exclusion.
    pub kind: char,
    /// As `pg_get_constraintdef` gives it.
    pub definition: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDefinition {
    /// Its name.
    pub name: String,
    /// As `pg_get_indexdef` gives it.
    pub definition: String,
    /// Whether it is unique.
    pub unique: bool,
    /// Its columns in order, where all are plain columns and it has no predicate; else empty.
    pub columns: Vec<String>,
}

/// A partition's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionOf {
    /// The parent's schema.
    pub schema: String,
    /// The parent's name.
    pub name: String,
    /// `FOR VALUES …` or `DEFAULT`.
    pub bound: String,
}

impl fmt::Display for TableDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}
