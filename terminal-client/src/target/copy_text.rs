use std::borrow::Cow;

use bytes::{Buf, Bytes};

/// Rows in COPY text format that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// The end-of-data mark, which never stands among rows.
    #[error("an end-of-data mark (\\.) among the rows")]
    EndMark,
    /// A row without its line feed.
    #[error("the rows end in the middle of one, after {0} bytes of it")]
    Cut(usize),
    /// More or fewer fields than columns.
    #[error("a row of {found} fields for {expected} columns")]
    Fields {
        /// In the row.
        found: usize,
        /// In the table.
        expected: usize,
    },
}

/// Cuts a stream of COPY text (PostgreSQL manual, COPY, "Text Format") into rows, as
/// [`RowWriter::load_rows`](super::RowWriter::load_rows) gets them. Holds the piece at hand and the one row that is cut between pieces.
#[derive(Debug, Default)]
pub struct CopyLines {
    piece: Bytes,
    pending: Vec<u8>,
}

impl CopyLines {
    /// The next piece; all rows of the one before must have been taken.
    pub fn feed(&mut self, piece: Bytes) {
        self.piece = piece;
    }

    /// The next complete row, without its line feed.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, CopyError> {
        while let Some(end) = self.piece.iter().position(|byte| *byte == b'\n') {
            let line = self.piece.split_to(end);
            self.piece.advance(1);
            let escaped = is_escaped(&line, &self.pending);
            if escaped || !self.pending.is_empty() {
                self.pending.extend_from_slice(&line);
            }
            if escaped {
                self.pending.push(b'\n');
                continue;
            }
            let line = match self.pending.is_empty() {
                true => line,
                false => Bytes::from(std::mem::take(&mut self.pending)),
            };
            return if line == b"\\."[..] { Err(CopyError::EndMark) } else { Ok(Some(line)) };
        }
        self.pending.extend_from_slice(&self.piece);
        self.piece = Bytes::new();
        Ok(None)
    }

    /// To be called behind the last piece.
    pub fn end(&self) -> Result<(), CopyError> {
        match self.pending.len() + self.piece.len() {
            0 => Ok(()),
            left => Err(CopyError::Cut(left)),
        }
    }
}

/// Whether the line feed behind `line` has a backslash before it, which makes it part of a value.
fn is_escaped(line: &[u8], pending: &[u8]) -> bool {
    let before = line.iter().rev().chain(pending.iter().rev());
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The fields of one row, escapes undone; `None` for NULL.
#[derive(Debug)]
pub struct CopyFields<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> CopyFields<'a> {
    /// Of a row with that many columns. The row of a table without columns is empty.
    pub fn new(line: &'a [u8], columns: usize) -> Result<Self, CopyError> {
        let found = match line.is_empty() && columns == 0 {
            true => 0,
            false => 1 + line.iter().filter(|byte| **byte == b'\t').count(),
        };
        if found != columns {
            return Err(CopyError::Fields { found, expected: columns });
        }
        Ok(Self { rest: (columns > 0).then_some(line) })
    }
}

impl<'a> Iterator for CopyFields<'a> {
    type Item = Option<Cow<'a, [u8]>>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let end = rest.iter().position(|byte| *byte == b'\t').unwrap_or(rest.len());
        self.rest = rest.get(end + 1..);
        let raw = rest.get(..end).unwrap_or_default();
        Some(if raw == b"\\N" {
            None
        } else if raw.contains(&b'\\') {
            Some(Cow::Owned(unescaped(raw)))
        } else {
            Some(Cow::Borrowed(raw))
        })
    }
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        text.extend_from_slice(rest.get(..at).unwrap_or_default());
        let (byte, used) = escape(rest.get(at + 1..).unwrap_or_default());
        text.push(byte);
        rest = rest.get(at + 1 + used..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    text
}

/// The byte that an escape stands for, and how many bytes behind the backslash it has.
fn escape(rest: &[u8]) -> (u8, usize) {
    let number = |digits: &[u8], radix: u32| {
        let value = digits.iter().fold(0, |value, byte| {
            value * radix + char::from(*byte).to_digit(radix).unwrap_or_default()
        });
        // Only the low byte counts, as in CopyReadAttributesText.
        u8::try_from(value & 0xff).unwrap_or_default()
    };
    let run = |from: &[u8], radix, most| {
        from.iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count()
    };
    let Some((first, behind)) = rest.split_first() else { return (b'\\', 0) };
    match first {
        b'b' => (8, 1),
        b'f' => (12, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'v' => (11, 1),
        b'0'..=b'7' => {
            let len = run(rest, 8, 3);
            (number(rest.get(..len).unwrap_or_default(), 8), len)
        }
        b'x' => match run(behind, 16, 2) {
            0 => (b'x', 1),
            len => (number(behind.get(..len).unwrap_or_default(), 16), 1 + len),
        },
        other => (*other, 1),
    }
}
