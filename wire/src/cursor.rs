//! Bounds-checked reading and writing of the binary forms. Numbers are big-endian; `varint` is
//! unsigned LEB128 in its shortest form.

use std::fmt::Display;

use crate::{Hash, Lsn};

/// Bytes that are not what they should be. Nothing is taken from them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("{what}: {needed} bytes are needed, {left} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Bytes it needs.
        needed: u64,
        /// Bytes there are.
        left: u64,
    },
    /// A value that cannot be.
    #[error("{what}: {found} is not valid here")]
    Invalid {
        /// What was being read.
        what: &'static str,
        /// What was found.
        found: String,
    },
    /// Bytes behind the end.
    #[error("{what}: {left} bytes too many")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// How many.
        left: usize,
    },
    /// Written by a version that this one does not know.
    #[error(
        "{what}: format version {version} is not known to this program (it knows {known}); update it"
    )]
    Version {
        /// What was being read.
        what: &'static str,
        /// The version found.
        version: u16,
        /// The newest version known.
        known: u16,
    },
    /// A checksum does not match.
    #[error(
        "{what}: checksum {computed:08x} does not match the stored {stored:08x}: the bytes are damaged"
    )]
    Checksum {
        /// What was being read.
        what: &'static str,
        /// As computed now.
        computed: u32,
        /// As stored.
        stored: u32,
    },
}

impl DecodeError {
    pub(crate) fn invalid(what: &'static str, found: impl Display) -> Self {
        Self::Invalid { what, found: found.to_string() }
    }
}

/// Reads from the front of a byte slice; what it hands out borrows from that slice.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes(
        &mut self,
        what: &'static str,
        len: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated {
            what,
            needed: len as u64,
            left: self.rest.len() as u64,
        })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(what, N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(what).map(|[b]| b)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        self.array(what).map(i32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        self.array(what).map(i64::from_be_bytes)
    }

    pub(crate) fn lsn(&mut self, what: &'static str) -> Result<Lsn, DecodeError> {
        self.u64(what).map(Lsn::new)
    }

    pub(crate) fn hash(&mut self, what: &'static str) -> Result<Hash, DecodeError> {
        self.array(what).map(Hash::from_bytes)
    }

    pub(crate) fn id16(&mut self, what: &'static str) -> Result<[u8; 16], DecodeError> {
        self.array(what)
    }

    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 0x7F);
            if (shift == 63 && bits > 1) || (shift > 0 && byte == 0) {
                return Err(DecodeError::invalid(what, "a number that is too long"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::invalid(what, "a number that is too long"))
    }

    /// A count of things of which each takes at least `each` bytes: refused where the bytes that
    /// are left cannot hold them, so that a lying count reserves no memory.
    pub(crate) fn count(&mut self, what: &'static str, each: usize) -> Result<usize, DecodeError> {
        let count = self.varint(what)?;
        let needed = count.saturating_mul(each as u64);
        let left = self.rest.len() as u64;
        if needed > left {
            return Err(DecodeError::Truncated { what, needed, left });
        }
        usize::try_from(count).map_err(|_| DecodeError::invalid(what, count))
    }

    /// Bytes with their length, a varint, before them.
    pub(crate) fn prefixed(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.count(what, 1)?;
        self.bytes(what, len)
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        let bytes = self.prefixed(what)?;
        std::str::from_utf8(bytes).map_err(|e| DecodeError::invalid(what, e))
    }

    pub(crate) fn end(&self, what: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing { what, left: self.rest.len() })
        }
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

pub(crate) fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// How many bytes `put_varint` writes.
pub(crate) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint("n"), Ok(value));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn a_varint_has_one_form(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.varint("n") {
                let mut again = Vec::new();
                put_varint(&mut again, value);
                prop_assert_eq!(again.as_slice(), &bytes[..bytes.len() - reader.rest().len()]);
            }
        }
    }

    #[test]
    fn a_lying_count_is_refused() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, u64::MAX);
        assert!(matches!(
            Reader::new(&bytes).count("columns", 4),
            Err(DecodeError::Truncated { .. })
        ));
    }
}
