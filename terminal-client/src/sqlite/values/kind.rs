use wire::{ColumnDefinition, RelationColumn};

/// How the values of a column are kept, decided by the column's type alone, never by a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// int2, int4, int8, oid: INTEGER.
    Integer,
    /// numeric without decimals and of at most 18 digits, which fits an i64: INTEGER; `NaN` as TEXT.
    WholeNumeric,
    /// bool: INTEGER 0 or 1.
    Boolean,
    /// float4, float8: REAL; `NaN`, which SQLite cannot hold as a number, as TEXT.
    Float,
    /// timestamp: TEXT `2024-01-01T10:00:00.123456`.
    Timestamp,
    /// timestamptz: TEXT `2024-01-01T10:00:00.123456Z`.
    TimestampTz,
    /// bytea: BLOB.
    Bytes,
    /// An array: JSON as TEXT.
    Array(Array),
    /// Everything else: TEXT as PostgreSQL prints it.
    Text,
}

/// What an array's elements become in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Array {
    pub(in super::super) leaf: Leaf,
    /// Between the elements; `pg_type.typdelim`.
    pub(in super::super) delimiter: u8,
}

/// What an element becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Leaf {
    /// A JSON number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A JSON string of PostgreSQL's text.
    Text,
}

/// Most digits that always fit an i64.
const WHOLE_DIGITS: i32 = 18;

impl Kind {
    /// Of a column as the master's catalogue has it.
    pub(in super::super) fn of_definition(column: &ColumnDefinition) -> Self {
        let underscored = column.base_type.starts_with('_');
        // A user's own type may begin with an underscore too; then it is the column's type itself.
        let own_name = is_named(&column.type_sql, &column.base_type);
        let array = column.type_sql.ends_with("[]") || underscored && !own_name;
        Self::of_type(&column.base_type, column.base_modifier, array)
    }

    /// Of a column as the stream has it.
    pub(in super::super) fn of_relation(column: &RelationColumn) -> Self {
        let name = &column.type_name.name;
        Self::of_type(name, column.type_modifier, name.starts_with('_'))
    }

    /// Of a column that the stream and the recorded definition have. The stream says what holds
    /// now, but hides a domain's modifier and how a user's type is written.
    pub(in super::super) fn of_both(relation: &RelationColumn, column: &ColumnDefinition) -> Self {
        if relation.type_name.name != column.base_type {
            return Self::of_relation(relation);
        }
        let plain_numeric = column.base_type == "numeric" && column.type_sql.starts_with("numeric");
        if plain_numeric { Self::of_relation(relation) } else { Self::of_definition(column) }
    }

    fn of_type(name: &str, modifier: i32, array: bool) -> Self {
        if array {
            return Self::Array(Array::of(name.strip_prefix('_').unwrap_or(name)));
        }
        match name {
            "int2" | "int4" | "int8" | "oid" => Self::Integer,
            "bool" => Self::Boolean,
            "float4" | "float8" => Self::Float,
            "numeric" if is_whole(modifier) => Self::WholeNumeric,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::TimestampTz,
            "bytea" => Self::Bytes,
            _ => Self::Text,
        }
    }

    /// The type that the column is declared with. Only these four: each has exactly the affinity of
    /// its name (SQLite, "Datatypes In SQLite", 3.1), and none turns a text into a number by itself.
    pub(in super::super) const fn declared(self) -> &'static str {
        match self {
            Self::Integer | Self::WholeNumeric | Self::Boolean => "INTEGER",
            Self::Float => "REAL",
            Self::Bytes => "BLOB",
            Self::Timestamp | Self::TimestampTz | Self::Array(_) | Self::Text => "TEXT",
        }
    }

    /// Whether a column of that affinity keeps such values as they are.
    pub(in super::super) const fn fits(self, affinity: Affinity) -> bool {
        match self {
            Self::Integer | Self::WholeNumeric | Self::Boolean => {
                matches!(affinity, Affinity::Integer | Affinity::Numeric | Affinity::None)
            }
            Self::Float => matches!(affinity, Affinity::Real | Affinity::None),
            Self::Bytes => true,
            Self::Timestamp | Self::TimestampTz | Self::Array(_) | Self::Text => {
                matches!(affinity, Affinity::Text | Affinity::None)
            }
        }
    }
}

impl Array {
    fn of(element: &str) -> Self {
        let leaf = match element {
            "int2" | "int4" | "int8" | "oid" => Leaf::Integer,
            "bool" => Leaf::Boolean,
            _ => Leaf::Text,
        };
        // The one built-in type with another delimiter (pg_type.dat).
        let delimiter = if element == "box" { b';' } else { b',' };
        Self { leaf, delimiter }
    }
}

/// What SQLite does to values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Affinity {
    Integer,
    Text,
    None,
    Real,
    Numeric,
}

impl Affinity {
    /// Of a declared type (SQLite, "Datatypes In SQLite", 3.1). In a STRICT table ANY means none.
    pub(in super::super) fn of_declared(declared: &str, strict: bool) -> Self {
        let upper = declared.to_ascii_uppercase();
        let has = |part: &str| upper.contains(part);
        if strict && upper == "ANY" || upper.is_empty() {
            Self::None
        } else if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") {
            Self::None
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

/// The modifier of `numeric(p, s)` is `(p << 16 | s & 0x7ff) + 4` (numeric.c).
fn is_whole(modifier: i32) -> bool {
    let Some(packed) = modifier.checked_sub(4).filter(|packed| *packed >= 0) else { return false };
    packed & 0x7ff == 0 && (packed >> 16) & 0xffff <= WHOLE_DIGITS
}

/// Whether `type_sql`, as `format_type` writes it, is the type of that name and not a domain over it.
fn is_named(type_sql: &str, name: &str) -> bool {
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    type_sql == name || type_sql.ends_with(&format!(".{name}")) || type_sql.ends_with(&quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(type_sql: &str, base_type: &str, base_modifier: i32) -> ColumnDefinition {
        ColumnDefinition {
            number: 1,
            name: "c".into(),
            type_sql: type_sql.into(),
            base_type: base_type.into(),
            base_modifier,
            not_null: false,
            default: None,
            generated: None,
            identity: None,
            collation: None,
            missing: None,
        }
    }

    const fn numeric(digits: i32, scale: i32) -> i32 {
        (digits << 16 | (scale & 0x7ff)) + 4
    }

    #[test]
    fn a_column_is_kept_by_its_type() {
        let array = |leaf, delimiter| Kind::Array(Array { leaf, delimiter });
        for (type_sql, base, modifier, kind, declared) in [
            ("bigint", "int8", -1, Kind::Integer, "INTEGER"),
            ("oid", "oid", -1, Kind::Integer, "INTEGER"),
            ("boolean", "bool", -1, Kind::Boolean, "INTEGER"),
            ("real", "float4", -1, Kind::Float, "REAL"),
            ("numeric(18,0)", "numeric", numeric(18, 0), Kind::WholeNumeric, "INTEGER"),
            ("numeric(19,0)", "numeric", numeric(19, 0), Kind::Text, "TEXT"),
            ("numeric(5,-2)", "numeric", numeric(5, -2), Kind::Text, "TEXT"),
            ("numeric(12,2)", "numeric", numeric(12, 2), Kind::Text, "TEXT"),
            ("numeric", "numeric", -1, Kind::Text, "TEXT"),
            ("public.money_amount", "numeric", numeric(9, 0), Kind::WholeNumeric, "INTEGER"),
            ("timestamp with time zone", "timestamptz", -1, Kind::TimestampTz, "TEXT"),
            ("bytea", "bytea", -1, Kind::Bytes, "BLOB"),
            ("integer[]", "_int4", -1, array(Leaf::Integer, b','), "TEXT"),
            ("boolean[]", "_bool", -1, array(Leaf::Boolean, b','), "TEXT"),
            ("box[]", "_box", -1, array(Leaf::Text, b';'), "TEXT"),
            ("public.many", "_int8", -1, array(Leaf::Integer, b','), "TEXT"),
            ("public._mood", "_mood", -1, Kind::Text, "TEXT"),
            ("public.\"_Mood\"", "_Mood", -1, Kind::Text, "TEXT"),
            ("public._mood[]", "__mood", -1, array(Leaf::Text, b','), "TEXT"),
            ("jsonb", "jsonb", -1, Kind::Text, "TEXT"),
            ("name", "name", -1, Kind::Text, "TEXT"),
        ] {
            let found = Kind::of_definition(&column(type_sql, base, modifier));
            assert_eq!((found, found.declared()), (kind, declared), "{type_sql}");
        }
    }

    #[test]
    fn what_is_declared_keeps_values_as_they_are() {
        for kind in [Kind::Integer, Kind::Float, Kind::Bytes, Kind::Text, Kind::TimestampTz] {
            assert!(kind.fits(Affinity::of_declared(kind.declared(), false)), "{kind:?}");
        }
        assert!(!Kind::Text.fits(Affinity::of_declared("DECIMAL(10,2)", false)));
        assert!(!Kind::Text.fits(Affinity::of_declared("ANY", false)));
        assert!(Kind::Text.fits(Affinity::of_declared("ANY", true)));
        assert!(Kind::Text.fits(Affinity::of_declared("VARCHAR(10)", false)));
        assert!(!Kind::Float.fits(Affinity::of_declared("INT", false)));
        assert!(!Kind::Integer.fits(Affinity::of_declared("TEXT", false)));
    }

    #[test]
    fn the_stream_says_what_holds_now() {
        let relation = |name: &str, modifier| RelationColumn {
            name: "c".into(),
            key: false,
            type_name: wire::TypeName { schema: "pg_catalog".into(), name: name.into() },
            type_oid: 0,
            type_modifier: modifier,
        };
        let plain = column("numeric(9,0)", "numeric", numeric(9, 0));
        let domain = column("public.amount", "numeric", numeric(9, 0));
        assert_eq!(Kind::of_both(&relation("numeric", -1), &plain), Kind::Text);
        assert_eq!(Kind::of_both(&relation("numeric", -1), &domain), Kind::WholeNumeric);
        assert_eq!(Kind::of_both(&relation("text", -1), &plain), Kind::Text);
        let own = column("public._mood", "_mood", -1);
        assert_eq!(Kind::of_both(&relation("_mood", -1), &own), Kind::Text);
    }
}
