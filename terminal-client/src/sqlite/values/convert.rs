use super::{
    cell::{Cell, Unfit, cell},
    kind::Kind,
};

/// How a value that is kept in one way becomes what a load would make of it in another. PostgreSQL's
/// text of it is the same: what `ALTER TABLE` rewrites comes by a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Conversion {
    /// It stays as it is.
    None,
    /// An expression over the column, which is quoted.
    Sql(String),
}

/// None where only a load knows.
pub(in super::super) fn conversion(from: Kind, to: Kind, column: &str) -> Option<Conversion> {
    use Kind::{Array, Integer, Text, Timestamp, TimestampTz, WholeNumeric};
    Some(match (from, to) {
        (from, to) if from == to => Conversion::None,
        (Integer | WholeNumeric, Integer | WholeNumeric) => Conversion::None,
        (Array(from), Array(to)) if from.leaf == to.leaf => Conversion::None,
        (Integer | WholeNumeric, Text) => Conversion::Sql(format!("CAST({column} AS TEXT)")),
        // PostgreSQL rewrites nothing where its time zone is UTC.
        (Timestamp, TimestampTz) => Conversion::Sql(format!(
            "CASE WHEN {column} LIKE '%infinity' THEN {column} WHEN {column} LIKE '% BC' \
             THEN replace({column}, ' BC', 'Z BC') ELSE {column} || 'Z' END"
        )),
        (TimestampTz, Timestamp) => Conversion::Sql(format!("replace({column}, 'Z', '')")),
        _ => return None,
    })
}

/// PostgreSQL's text of a value as SQLite's SQL.
pub(in super::super) fn literal(kind: Kind, text: &str) -> Result<String, Unfit> {
    Ok(match cell(kind, text.as_bytes())? {
        Cell::Integer(number) => number.to_string(),
        // There is no word for it, and this is read as it.
        Cell::Real(number) if number.is_infinite() => {
            format!("{}9e999", if number > 0.0 { "" } else { "-" })
        }
        Cell::Real(number) => format!("{number:?}"),
        Cell::Text(text) => format!("'{}'", String::from_utf8_lossy(&text).replace('\'', "''")),
        Cell::Blob(bytes) => {
            format!("x'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    })
}
