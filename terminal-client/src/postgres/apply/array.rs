use bytes::Bytes;
use wire::Value;

/// Values of one column as an array in PostgreSQL's text form (manual, section 8.15.6).
pub(super) struct ArrayText {
    out: Vec<u8>,
    delimiter: u8,
}

impl ArrayText {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { out: vec![b'{'], delimiter }
    }

    /// Whether it was taken: one that the stream did not carry as text cannot be.
    pub(super) fn push(&mut self, value: &Value) -> bool {
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

    pub(super) fn finish(mut self) -> Bytes {
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
}
