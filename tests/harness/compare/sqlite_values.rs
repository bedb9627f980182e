//! What a value of PostgreSQL has to be in SQLite, both written in one form for comparison.
//!
//! | PostgreSQL | SQLite |
//! |---|---|
//! | smallint, integer, bigint, oid | INTEGER |
//! | numeric without decimals and of at most 18 digits, by its type | INTEGER |
//! | other numeric | TEXT |
//! | boolean | INTEGER, 0 or 1 |
//! | real, double precision | REAL; NaN, which SQLite cannot hold, TEXT |
//! | timestamptz | TEXT, `2024-01-01T10:00:00.123456Z` |
//! | timestamp | TEXT, the same without Z |
//! | bytea | BLOB |
//! | arrays | TEXT, JSON |
//! | everything else | TEXT, as PostgreSQL prints it |
//!
//! A domain is as the type below it.

use anyhow::{Context, Result};
use rusqlite::types::ValueRef;

enum Class {
    Integer,
    Boolean,
    Float4,
    Float8,
    Timestamp,
    Bytes,
    Array,
    Text,
}

fn class(type_name: &str) -> Class {
    if type_name.ends_with("[]") {
        return Class::Array;
    }
    match type_name {
        "smallint" | "integer" | "bigint" | "oid" => Class::Integer,
        "boolean" => Class::Boolean,
        "real" => Class::Float4,
        "double precision" => Class::Float8,
        "bytea" => Class::Bytes,
        name if name.starts_with("timestamp") => Class::Timestamp,
        name if is_whole_numeric(name) => Class::Integer,
        _ => Class::Text,
    }
}

/// `numeric(p,0)` with p ≤ 18: fits an i64.
fn is_whole_numeric(type_name: &str) -> bool {
    let inner = type_name.strip_prefix("numeric(").and_then(|rest| rest.strip_suffix(")"));
    let digits = inner.and_then(|inner| inner.split_once(',')).filter(|(_, scale)| *scale == "0");
    digits.and_then(|(digits, _)| digits.parse::<u32>().ok()).is_some_and(|digits| digits <= 18)
}

/// The form that [`found`] has to give for a field of COPY's text format.
pub(super) fn expected(field: &str, type_name: &str) -> Result<String> {
    if field == "\\N" {
        return Ok("NULL".to_owned());
    }
    let text = unescape(field);
    Ok(match class(type_name) {
        Class::Integer if text == "NaN" => format!("text {text}"),
        Class::Integer => format!("integer {text}"),
        Class::Boolean => format!("integer {}", u8::from(text == "t")),
        Class::Float4 | Class::Float8 if text == "NaN" => format!("text {text}"),
        Class::Float4 | Class::Float8 => real(text.parse().context("not a float")?, type_name),
        Class::Timestamp => format!("text {}", iso_timestamp(&text)),
        Class::Bytes => format!("blob {}", text.strip_prefix("\\x").context("bytea not in hex")?),
        Class::Array => format!("array {}", array_as_json(&text)),
        Class::Text => format!("text {text}"),
    })
}

/// A value of SQLite in one form.
pub(super) fn found(value: ValueRef<'_>, type_name: &str) -> Result<String> {
    Ok(match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => format!("integer {number}"),
        ValueRef::Real(number) => real(number, type_name),
        ValueRef::Blob(bytes) => {
            format!("blob {}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes)?;
            match class(type_name) {
                Class::Array => format!("array {}", leaves_as_text(&serde_json::from_str(text)?)),
                _ => format!("text {text}"),
            }
        }
    })
}

/// A single-precision number may have come by its shortest text or by its exact value.
fn real(number: f64, type_name: &str) -> String {
    // SQLite keeps whole numbers as integers in its file, so that -0.0 comes back as 0.0.
    let number = if number == 0.0 { 0.0 } else { number };
    match class(type_name) {
        #[expect(clippy::cast_possible_truncation, reason = "to the precision of the column")]
        Class::Float4 => format!("real {:?}", number as f32),
        _ => format!("real {number:?}"),
    }
}

/// `2024-01-01 10:00:00+00` → `2024-01-01T10:00:00Z`; `infinity` and the BC suffix stay.
fn iso_timestamp(text: &str) -> String {
    let iso = text.replacen(' ', "T", 1);
    match iso.split_once("+00") {
        Some((time, era)) => format!("{time}Z{era}"),
        None => iso,
    }
}

/// Undoes COPY's escapes (PostgreSQL manual, COPY, "Text Format").
fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut letters = field.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('v') => text.push('\u{b}'),
            Some(other) => text.push(other),
            None => {}
        }
    }
    text
}

/// PostgreSQL's array text as JSON whose leaves are strings or null: `{1,NULL,"a b"}` →
/// `["1",null,"a b"]` (manual, 8.15.2 "Array Value Input").
fn array_as_json(text: &str) -> String {
    // Arrays that do not begin at 1 have their bounds in front: `[0:2]={…}`.
    let text = text.find('{').and_then(|start| text.get(start..)).unwrap_or(text);
    let mut json = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '{' => json.push('['),
            '}' => json.push(']'),
            ',' => json.push(','),
            '"' => json.push_str(&json_string(&quoted_element(&mut letters))),
            first => {
                let mut element = String::from(first);
                while let Some(next) = letters.next_if(|next| !matches!(next, ',' | '}')) {
                    element.push(next);
                }
                json.push_str(&if element == "NULL" {
                    "null".to_owned()
                } else {
                    json_string(&element)
                });
            }
        }
    }
    json
}

fn quoted_element(letters: &mut impl Iterator<Item = char>) -> String {
    let mut element = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => element.extend(letters.next()),
            other => element.push(other),
        }
    }
    element
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Numbers and booleans in an array are compared by their text in PostgreSQL's form.
fn leaves_as_text(json: &serde_json::Value) -> String {
    match json {
        serde_json::Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(leaves_as_text).collect();
            format!("[{}]", elements.join(","))
        }
        serde_json::Value::Null => "null".to_owned(),
        serde_json::Value::String(text) => json_string(text),
        serde_json::Value::Bool(value) => json_string(if *value { "t" } else { "f" }),
        other => json_string(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_both_forms() {
        for (field, type_name, value) in [
            ("\\N", "integer", ValueRef::Null),
            ("42", "bigint", ValueRef::Integer(42)),
            ("42", "numeric(18,0)", ValueRef::Integer(42)),
            ("42", "numeric(19,0)", ValueRef::Text(b"42")),
            ("1.50", "numeric(12,2)", ValueRef::Text(b"1.50")),
            ("t", "boolean", ValueRef::Integer(1)),
            ("1.1", "real", ValueRef::Real(f64::from(1.1f32))),
            ("1.1", "real", ValueRef::Real(1.1)),
            ("-0", "double precision", ValueRef::Real(0.0)),
            ("NaN", "double precision", ValueRef::Text(b"NaN")),
            ("Infinity", "double precision", ValueRef::Real(f64::INFINITY)),
            (
                "2024-01-01 10:00:00.123456+00",
                "timestamp with time zone",
                ValueRef::Text(b"2024-01-01T10:00:00.123456Z"),
            ),
            (
                "2024-01-01 10:00:00",
                "timestamp(3) without time zone",
                ValueRef::Text(b"2024-01-01T10:00:00"),
            ),
            ("\\\\x00ff", "bytea", ValueRef::Blob(&[0, 255])),
            ("a\\tb\\\\c\\n", "text", ValueRef::Text(b"a\tb\\c\n")),
            ("{1,NULL,3}", "integer[]", ValueRef::Text(b"[1, null, 3]")),
            (
                "{{a,\"b \\\\\"c\"},{NULL,\"NULL\"}}",
                "text[]",
                ValueRef::Text(br#"[["a","b \"c"],[null,"NULL"]]"#),
            ),
        ] {
            assert_eq!(
                expected(field, type_name).unwrap(),
                found(value, type_name).unwrap(),
                "{field} {type_name}"
            );
        }
    }

    #[test]
    fn differences_are_seen() {
        for (field, type_name, value) in [
            ("42", "bigint", ValueRef::Text(b"42")),
            ("", "text", ValueRef::Null),
            ("{a}", "text[]", ValueRef::Text(b"[\"b\"]")),
            ("\\\\x00", "bytea", ValueRef::Text(b"\\x00")),
        ] {
            assert_ne!(
                expected(field, type_name).unwrap(),
                found(value, type_name).unwrap(),
                "{field} {type_name}"
            );
        }
    }
}
