//! How a value of the tail looks: a piece of a slice, labelled so that damage shows.
//!
//! ```text
//! value := "TWTL" ‖ version u8 ‖ kind u8 ‖ source u64 ‖ after u64 ‖ through u64 ‖ chunk u32 ‖ slice length u64
//!          ‖ crc32c u32 (of all before and of the piece) ‖ piece
//! ```

use bytes::Bytes;
use wire::{Lsn, SourceName};

const MAGIC: [u8; 4] = *b"TWTL";
const VERSION: u8 = 1;
const HEADER_LEN: usize = 46;
/// The engine leaks larger values as files of their own.
pub(super) const MAX_VALUE: usize = 64 << 10;
/// Bytes of a slice in one value.
pub(super) const PIECE: usize = MAX_VALUE - HEADER_LEN;

/// What an item of the tail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A slice, whole.
    Slice,
    /// A closed range, whose payloads are objects.
    Range,
}

/// What a value says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) kind: Kind,
    pub(super) source: u64,
    pub(super) after: Lsn,
    pub(super) through: Lsn,
    pub(super) chunk: u32,
    pub(super) len: u64,
}

/// A source's name as it stands in each value.
pub(super) fn source_mark(source: &SourceName) -> u64 {
    let hash = blake3::hash(source.as_str().as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// The key of a value: the slice's end, then the piece's place.
pub(super) fn key(through: Lsn, chunk: u32) -> [u8; 12] {
    let mut key = [0; 12];
    let (position, place) = key.split_at_mut(8);
    position.copy_from_slice(&through.get().to_be_bytes());
    place.copy_from_slice(&chunk.to_be_bytes());
    key
}

/// Reads a key back.
pub(super) fn parse_key(key: &[u8]) -> Option<(Lsn, u32)> {
    let (position, place) = key.split_at_checked(8)?;
    let position = u64::from_be_bytes(position.try_into().ok()?);
    Some((Lsn::new(position), u32::from_be_bytes(place.try_into().ok()?)))
}

/// Puts a value together.
pub(super) fn encode(label: &Label, piece: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + piece.len());
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.push(match label.kind {
        Kind::Slice => b'S',
        Kind::Range => b'R',
    });
    out.extend_from_slice(&label.source.to_be_bytes());
    out.extend_from_slice(&label.after.get().to_be_bytes());
    out.extend_from_slice(&label.through.get().to_be_bytes());
    out.extend_from_slice(&label.chunk.to_be_bytes());
    out.extend_from_slice(&label.len.to_be_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out), piece);
    out.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(piece);
    out
}

/// Takes a value apart; the text says what is wrong with it.
pub(super) fn decode(value: &Bytes) -> Result<(Label, Bytes), String> {
    let short = || format!("a value of {} bytes is too short", value.len());
    let (head, piece) = value.split_at_checked(HEADER_LEN).ok_or_else(short)?;
    let (covered, stored) = head.split_at_checked(HEADER_LEN - 4).ok_or_else(short)?;
    let computed = crc32c::crc32c_append(crc32c::crc32c(covered), piece);
    let mut fields = Fields(stored);
    let stored = u32::try_from(fields.number(4)).unwrap_or_default();
    if computed != stored {
        return Err(format!("checksum {computed:08x} does not match the stored {stored:08x}"));
    }
    let (magic, rest) = covered.split_at_checked(4).ok_or_else(short)?;
    let mut fields = Fields(rest);
    let (version, kind) = (fields.number(1), fields.number(1));
    let kind = match u8::try_from(kind) {
        Ok(b'S') => Kind::Slice,
        Ok(b'R') => Kind::Range,
        _ => return Err(format!("a value of another kind ({kind})")),
    };
    if magic != MAGIC || version != u64::from(VERSION) {
        return Err(format!("a value of another version ({version})"));
    }
    let label = Label {
        kind,
        source: fields.number(8),
        after: Lsn::new(fields.number(8)),
        through: Lsn::new(fields.number(8)),
        chunk: u32::try_from(fields.number(4)).unwrap_or_default(),
        len: fields.number(8),
    };
    Ok((label, value.slice_ref(piece)))
}

/// Big-endian numbers one after another, of a front whose length was checked.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn number(&mut self, len: usize) -> u64 {
        let (now, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        now.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label {
            kind: Kind::Range,
            source: 7,
            after: Lsn::new(1),
            through: Lsn::new(u64::MAX),
            chunk: 3,
            len: 1 << 40,
        }
    }

    #[test]
    fn there_and_back() {
        let value = Bytes::from(encode(&label(), b"piece"));
        let (read, piece) = decode(&value).unwrap();
        assert_eq!((read, piece.as_ref()), (label(), b"piece".as_ref()));
        assert_eq!(parse_key(&key(Lsn::new(9), 4)), Some((Lsn::new(9), 4)));
    }

    #[test]
    fn every_flipped_bit_shows() {
        let value = encode(&label(), b"piece");
        for at in 0..value.len() * 8 {
            let mut damaged = value.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            assert!(decode(&damaged.into()).is_err(), "bit {at}");
        }
        for len in 0..value.len() {
            assert!(decode(&Bytes::copy_from_slice(&value[..len])).is_err(), "length {len}");
        }
    }
}
