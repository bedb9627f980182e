use wire::{Tuple, Value};

use super::row::{Irregular, Row};

/// What a table's rows are known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The values of these columns, as places in the relation. No two rows have the same.
    Columns(Vec<usize>),
    /// All values; rows may be alike.
    Whole,
}

/// Bytes that two rows share exactly where the values do.
pub(super) fn bytes_of<'a>(
    values: impl Iterator<Item = &'a Value>,
) -> Result<Box<[u8]>, Irregular> {
    let mut out = Vec::with_capacity(16);
    for value in values {
        match value {
            Value::Null => out.push(0),
            Value::Text(bytes) => {
                out.push(1);
                out.extend_from_slice(&bytes.len().to_le_bytes());
                out.extend_from_slice(bytes);
            }
            Value::Unchanged | Value::Binary(_) => return Err(Irregular),
        }
    }
    Ok(out.into_boxed_slice())
}

/// Bytes that two keys share exactly where their values do; none where a value is not known as text.
pub fn key_bytes<'a>(values: impl Iterator<Item = &'a Value>) -> Option<Box<[u8]>> {
    bytes_of(values).ok()
}

/// The values at these places.
pub(super) fn at<'a>(tuple: &'a Tuple, places: &[usize]) -> Result<Row<'a>, Irregular> {
    places.iter().map(|place| tuple.get(*place).ok_or(Irregular)).collect()
}
