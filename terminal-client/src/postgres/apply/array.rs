use bytes::Bytes;
use wire::Value;

use super::super::param::Param;

/// In which form an array's elements travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    Int2,
    Int4,
    Int8,
    /// Binary, of a type whose binary form is its text, by its OID.
    Texts(u32),
    /// The text form of an array, with this between the elements.
    Delimited(u8),
}

/// Values of one column as one parameter.
pub(super) enum ArrayParam {
    Binary(ArrayBinary),
    Text(ArrayText),
}

impl ArrayParam {
    pub(super) fn new(elements: Elements) -> Self {
        match elements {
            Elements::Delimited(delimiter) => Self::Text(ArrayText::new(delimiter)),
            elements => Self::Binary(ArrayBinary::new(elements)),
        }
    }

    /// Whether it was taken: one that the stream did not carry as text cannot be.
    pub(super) fn push(&mut self, value: &Value) -> bool {
        match self {
            Self::Binary(array) => array.push(value),
            Self::Text(array) => array.push(value),
        }
    }

    pub(super) fn finish(self) -> Param {
        match self {
            Self::Binary(array) => Param::Binary(array.finish()),
            Self::Text(array) => Param::Text(array.finish()),
        }
    }
}

/// An array in binary form (`array_send` in the server's source): dimensions, whether there are NULLs, the
/// element's type, length and lower bound, then each element behind its length.
pub(super) struct ArrayBinary {
    elements: Elements,
    out: Vec<u8>,
    count: i32,
    has_nulls: bool,
}

/// Bytes before the elements, which are known at the end.
const HEADER_BYTES: usize = 20;
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

impl ArrayBinary {
    fn new(elements: Elements) -> Self {
        Self { elements, out: vec![0; HEADER_BYTES], count: 0, has_nulls: false }
    }

    fn push(&mut self, value: &Value) -> bool {
        let taken = match value {
            Value::Null => {
                self.has_nulls = true;
                self.out.extend_from_slice(&NULL);
                true
            }
            Value::Text(text) => self.element(text),
            Value::Unchanged | Value::Binary(_) => false,
        };
        self.count += 1;
        taken
    }

    fn element(&mut self, text: &[u8]) -> bool {
        let number = || str::from_utf8(text).ok();
        match self.elements {
            Elements::Int2 => {
                let number = number().and_then(|text| text.parse::<i16>().ok());
                number.is_some_and(|number| self.put(&number.to_be_bytes()))
            }
            Elements::Int4 => {
                let number = number().and_then(|text| text.parse::<i32>().ok());
                number.is_some_and(|number| self.put(&number.to_be_bytes()))
            }
            Elements::Int8 => {
                let number = number().and_then(|text| text.parse::<i64>().ok());
                number.is_some_and(|number| self.put(&number.to_be_bytes()))
            }
            Elements::Texts(_) => self.put(text),
            Elements::Delimited(_) => false,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> bool {
        let Ok(len) = i32::try_from(bytes.len()) else { return false };
        self.out.extend_from_slice(&len.to_be_bytes());
        self.out.extend_from_slice(bytes);
        true
    }

    fn finish(mut self) -> Bytes {
        let of = match self.elements {
            Elements::Int2 => 21,
            Elements::Int4 => 23,
            Elements::Int8 => 20,
            Elements::Texts(oid) => oid,
            Elements::Delimited(_) => 0,
        };
        let (dimensions, lower) = (1_i32, 1_i32);
        let header = [
            dimensions.to_be_bytes(),
            i32::from(self.has_nulls).to_be_bytes(),
            u32::to_be_bytes(of),
            self.count.to_be_bytes(),
            lower.to_be_bytes(),
        ];
        if let Some(place) = self.out.get_mut(..HEADER_BYTES) {
            place.copy_from_slice(header.as_flattened());
        }
        self.out.into()
    }
}

/// Values of one column as an array in PostgreSQL's text form (manual, section 8.15.6).
pub(super) struct ArrayText {
    out: Vec<u8>,
    delimiter: u8,
}

impl ArrayText {
    fn new(delimiter: u8) -> Self {
        Self { out: vec![b'{'], delimiter }
    }

    fn push(&mut self, value: &Value) -> bool {
        if self.out.len() > 1 {
            self.out.push(self.delimiter);
        }
        match value {
            Value::Null => self.out.extend_from_slice(b"NULL"),
            Value::Text(text) => {
                self.out.push(b'"');
                let mut rest = text.as_ref();
                while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
                    let (plain, special) = rest.split_at(at);
                    self.out.extend_from_slice(plain);
                    self.out.push(b'\\');
                    self.out.extend(special.first());
                    rest = special.get(1..).unwrap_or_default();
                }
                self.out.extend_from_slice(rest);
                self.out.push(b'"');
            }
            Value::Unchanged | Value::Binary(_) => return false,
        }
        true
    }

    fn finish(mut self) -> Bytes {
        self.out.push(b'}');
        self.out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Value {
        Value::Text(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn quotes_and_backslashes_are_escaped_and_null_is_not_a_text() {
        let mut array = ArrayText::new(b',');
        for value in [text(r#"a"b\c"#), Value::Null, text("NULL"), text(""), text("{,}")] {
            assert!(array.push(&value));
        }
        assert_eq!(array.finish().as_ref(), br#"{"a\"b\\c",NULL,"NULL","","{,}"}"#);
        assert!(!ArrayText::new(b',').push(&Value::Unchanged));
        assert_eq!(ArrayText::new(b';').finish().as_ref(), b"{}");
    }

    #[test]
    fn binary_arrays_say_their_type_and_length() {
        let mut array = ArrayBinary::new(Elements::Int4);
        assert!(array.push(&text("-2")) && array.push(&Value::Null));
        let expected: &[u8] = &[
            0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0xff, 0xff,
            0xff, 0xfe, 0xff, 0xff, 0xff, 0xff,
        ];
        assert_eq!(array.finish().as_ref(), expected);
        assert!(!ArrayBinary::new(Elements::Int2).push(&text("40000")));
        let mut texts = ArrayBinary::new(Elements::Texts(25));
        assert!(texts.push(&text("a")));
        assert_eq!(texts.finish().get(20..), Some([0, 0, 0, 1, b'a'].as_slice()));
    }
}
