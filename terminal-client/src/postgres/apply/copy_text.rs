use bytes::Bytes;
use wire::Value;

/// Rows in COPY's text form (manual, COPY, File Formats).
#[derive(Default)]
pub(super) struct CopyText {
    out: Vec<u8>,
    begun: bool,
}

impl CopyText {
    /// The row's next value. Whether it was taken: one that the stream did not carry as text cannot be.
    pub(super) fn push(&mut self, value: &Value) -> bool {
        if std::mem::replace(&mut self.begun, true) {
            self.out.push(b'\t');
        }
        match value {
            Value::Null => self.out.extend_from_slice(b"\\N"),
            Value::Text(text) => self.text(text),
            Value::Unchanged | Value::Binary(_) => return false,
        }
        true
    }

    fn text(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some((at, letter)) =
            rest.iter().enumerate().find_map(|(at, byte)| Some((at, escape(*byte)?)))
        {
            let (plain, special) = rest.split_at(at);
            self.out.extend_from_slice(plain);
            self.out.extend_from_slice(&[b'\\', letter]);
            rest = special.get(1..).unwrap_or_default();
        }
        self.out.extend_from_slice(rest);
    }

    pub(super) fn end_row(&mut self) {
        self.out.push(b'\n');
        self.begun = false;
    }

    pub(super) fn finish(self) -> Bytes {
        self.out.into()
    }
}

/// The letter that stands for a byte behind a backslash.
fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_value_or_a_row_is_escaped_and_null_is_not_a_text() {
        let mut rows = CopyText::default();
        for value in ["a\tb", "\\N", "", "x\r\n"] {
            assert!(rows.push(&Value::Text(Bytes::from_static(value.as_bytes()))));
        }
        assert!(rows.push(&Value::Null));
        rows.end_row();
        assert!(rows.push(&Value::Text(Bytes::from_static(b"\\."))));
        rows.end_row();
        assert!(!CopyText::default().push(&Value::Unchanged));
        assert_eq!(rows.finish().as_ref(), b"a\\tb\t\\\\N\t\tx\\r\\n\t\\N\n\\\\.\n");
    }
}
