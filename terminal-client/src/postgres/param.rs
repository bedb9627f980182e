use bytes::{BufMut, Bytes, BytesMut};
use postgres_types::{Format, IsNull, ToSql, Type, to_sql_checked};
use wire::Value;

/// A value for any type: in the text form that the stream carries, or binary where it was so.
#[derive(Debug)]
pub(super) enum Param {
    Null,
    Text(Bytes),
    Binary(Bytes),
}

impl Param {
    /// The value; none for one that the stream did not carry.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Text(bytes) => Some(Self::Text(bytes.clone())),
            Value::Binary(bytes) => Some(Self::Binary(bytes.clone())),
            Value::Unchanged => None,
        }
    }
}

type Failure = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Param {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Text(bytes) | Self::Binary(bytes) => {
                out.put_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self {
            Self::Binary(_) => Format::Binary,
            Self::Null | Self::Text(_) => Format::Text,
        }
    }

    to_sql_checked!();
}
