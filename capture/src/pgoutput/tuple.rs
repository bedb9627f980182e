use std::fmt;

use bytes::{Buf, Bytes};
use wire::Lsn;

use super::error::DecodeError;

/// One column's value as the server sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A TOASTed value that the update did not touch, and that therefore was not sent.
    Unchanged,
    /// Text of the type's output function, in UTF-8 (or as stored, in an SQL_ASCII database).
    Text(&'a [u8]),
    /// Bytes of the type's send function; only where `binary` was asked for.
    Binary(&'a [u8]),
}

/// The values of a row, checked once and kept as the bytes that came: no allocation per row or value.
#[derive(Clone, PartialEq, Eq)]
pub struct Tuple {
    columns: u16,
    bytes: Bytes,
}

impl Tuple {
    /// Number of columns.
    pub fn len(&self) -> usize {
        self.columns.into()
    }

    /// Whether there is no column: a table may have none.
    pub fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// The values in the order of the relation's columns.
    pub fn values(&self) -> TupleValues<'_> {
        TupleValues { columns: self.columns, bytes: &self.bytes }
    }

    /// One of [`Tuple::values`] as a share of the bytes that came, not a copy.
    pub fn share(&self, value: &[u8]) -> Bytes {
        self.bytes.slice_ref(value)
    }

    /// Length of all values as they came, in bytes.
    pub fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes a tuple from the front of `bytes` after walking over all its values.
    pub(super) fn take(bytes: &mut Bytes) -> Result<Self, TupleFault> {
        let columns = bytes.try_get_u16().map_err(|_| TupleFault::Truncated("column count"))?;
        let mut rest: &[u8] = bytes;
        for _ in 0..columns {
            take_value(&mut rest)?;
        }
        let length = bytes.len() - rest.len();
        Ok(Self { columns, bytes: bytes.split_to(length) })
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

/// Walks over the values of a [`Tuple`].
#[derive(Debug, Clone)]
pub struct TupleValues<'a> {
    columns: u16,
    bytes: &'a [u8],
}

impl<'a> Iterator for TupleValues<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.columns = self.columns.checked_sub(1)?;
        // Checked when the tuple was taken.
        take_value(&mut self.bytes).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.columns.into(), Some(self.columns.into()))
    }
}

impl ExactSizeIterator for TupleValues<'_> {}

/// What is wrong with a tuple.
#[derive(Debug)]
pub(super) enum TupleFault {
    Truncated(&'static str),
    UnknownKind(u8),
}

impl TupleFault {
    pub(super) fn at(self, tag: u8, lsn: Lsn) -> DecodeError {
        match self {
            Self::Truncated(field) => DecodeError::Truncated { tag, lsn, field },
            Self::UnknownKind(value) => {
                DecodeError::UnknownValue { tag, lsn, field: "kind of value", value }
            }
        }
    }
}

#[inline]
fn take_value<'a>(rest: &mut &'a [u8]) -> Result<Value<'a>, TupleFault> {
    let (kind, after) = rest.split_first().ok_or(TupleFault::Truncated("column"))?;
    *rest = after;
    match kind {
        b'n' => Ok(Value::Null),
        b'u' => Ok(Value::Unchanged),
        b't' => take_sized(rest).map(Value::Text),
        b'b' => take_sized(rest).map(Value::Binary),
        other => Err(TupleFault::UnknownKind(*other)),
    }
}

#[inline]
fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], TupleFault> {
    let (length, after) =
        rest.split_first_chunk::<4>().ok_or(TupleFault::Truncated("value length"))?;
    let length =
        usize::try_from(u32::from_be_bytes(*length)).map_err(|_| TupleFault::Truncated("value"))?;
    let (value, after) = after.split_at_checked(length).ok_or(TupleFault::Truncated("value"))?;
    *rest = after;
    Ok(value)
}
