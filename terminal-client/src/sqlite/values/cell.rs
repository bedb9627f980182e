use std::{borrow::Cow, str::FromStr};

use rusqlite::{
    ToSql,
    types::{ToSqlOutput, Value, ValueRef},
};

use super::{array::array_as_json, kind::Kind};

/// A value as SQLite keeps it. Texts are the bytes that came: SQLite does not look at them, and a
/// source in SQL_ASCII may send any.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Cell<'a> {
    Integer(i64),
    Real(f64),
    Text(Cow<'a, [u8]>),
    Blob(Vec<u8>),
}

/// A text that the column's type never prints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{shown}' is not {expected}")]
pub(in super::super) struct Unfit {
    expected: &'static str,
    shown: String,
}

/// Longer texts are cut in messages.
const SHOWN_CHARS: usize = 60;

impl Unfit {
    fn new(expected: &'static str, text: &[u8]) -> Self {
        let cut = text.get(..text.len().min(4 * SHOWN_CHARS)).unwrap_or_default();
        let shown = String::from_utf8_lossy(cut).chars().take(SHOWN_CHARS).collect();
        Self { expected, shown }
    }
}

/// The value of a column, from PostgreSQL's text under the pinned settings.
pub(in super::super) fn cell<'a>(kind: Kind, text: &'a [u8]) -> Result<Cell<'a>, Unfit> {
    let unfit = |expected| Unfit::new(expected, text);
    let borrowed = Cell::Text(Cow::Borrowed(text));
    Ok(match kind {
        Kind::Text => borrowed,
        Kind::Integer => Cell::Integer(parsed(text).ok_or_else(|| unfit("an integer"))?),
        Kind::WholeNumeric if text == b"NaN" => borrowed,
        Kind::WholeNumeric => {
            Cell::Integer(parsed(text).ok_or_else(|| unfit("a whole number of at most 18 digits"))?)
        }
        Kind::Boolean => match text {
            b"t" => Cell::Integer(1),
            b"f" => Cell::Integer(0),
            _ => return Err(unfit("t or f")),
        },
        Kind::Float if text == b"NaN" => borrowed,
        Kind::Float => Cell::Real(parsed(text).ok_or_else(|| unfit("a number"))?),
        Kind::Timestamp => Cell::Text(iso(text, false).ok_or_else(|| unfit("a timestamp"))?),
        Kind::TimestampTz => {
            Cell::Text(iso(text, true).ok_or_else(|| unfit("a timestamp with +00"))?)
        }
        Kind::Bytes => {
            let digits = text.strip_prefix(b"\\x").ok_or_else(|| unfit("a bytea in hex"))?;
            Cell::Blob(from_hex(digits).ok_or_else(|| unfit("a bytea in hex"))?)
        }
        Kind::Array(of) => {
            let json = std::str::from_utf8(text).ok().and_then(|text| array_as_json(text, of));
            Cell::Text(json.ok_or_else(|| unfit("an array"))?.into_bytes().into())
        }
    })
}

fn parsed<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `2024-01-01 10:00:00+00` → `2024-01-01T10:00:00Z`. `infinity` and the suffix ` BC` stay.
fn iso(text: &[u8], zoned: bool) -> Option<Cow<'_, [u8]>> {
    let Some(space) = text.iter().position(|byte| *byte == b' ') else {
        return matches!(text, b"infinity" | b"-infinity").then_some(Cow::Borrowed(text));
    };
    let (date, rest) = (text.get(..space)?, text.get(space + 1..)?);
    let (time, era) = match rest.strip_suffix(b" BC") {
        Some(time) => (time, &b" BC"[..]),
        None => (rest, &b""[..]),
    };
    let (time, zone) = match zoned {
        true => (time.strip_suffix(b"+00")?, &b"Z"[..]),
        false => (time, &b""[..]),
    };
    Some([date, b"T", time, zone, era].concat().into())
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(Value::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text)),
            Self::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}
