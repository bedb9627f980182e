use bytes::{Buf, Bytes, TryGetError};
use wire::Lsn;

use super::{error::DecodeError, tuple::Tuple};

/// Reads the fields of one message, checking bounds, and knows what to say when they are exceeded.
pub(super) struct Fields {
    bytes: Bytes,
    tag: u8,
    lsn: Lsn,
}

impl Fields {
    /// The fields behind the tag; `None` where there is not even a tag.
    pub(super) fn new(mut bytes: Bytes, lsn: Lsn) -> Option<Self> {
        let tag = bytes.try_get_u8().ok()?;
        Some(Self { bytes, tag, lsn })
    }

    pub(super) fn tag(&self) -> u8 {
        self.tag
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn number<T>(
        &mut self,
        field: &'static str,
        get: impl FnOnce(&mut Bytes) -> Result<T, TryGetError>,
    ) -> Result<T, DecodeError> {
        get(&mut self.bytes).map_err(|_| self.truncated(field))
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.number(field, Bytes::try_get_u8)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.number(field, Bytes::try_get_u16)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.number(field, Bytes::try_get_u32)
    }

    pub(super) fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.number(field, Bytes::try_get_i32)
    }

    pub(super) fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.number(field, Bytes::try_get_i64)
    }

    pub(super) fn lsn(&mut self, field: &'static str) -> Result<Lsn, DecodeError> {
        self.number(field, Bytes::try_get_u64).map(Lsn::new)
    }

    /// A text that ends with a zero byte.
    pub(super) fn text(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let end =
            self.bytes.iter().position(|byte| *byte == 0).ok_or_else(|| self.truncated(field))?;
        let text = self.bytes.split_to(end);
        self.bytes.advance(1);
        let (tag, lsn) = (self.tag, self.lsn);
        String::from_utf8(text.into()).map_err(|_| DecodeError::NotUtf8 { tag, lsn, field })
    }

    /// Bytes behind their own length.
    pub(super) fn sized(&mut self, field: &'static str) -> Result<Bytes, DecodeError> {
        let length = self.u32(field)?;
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.bytes.len())
            .ok_or_else(|| self.truncated(field))?;
        Ok(self.bytes.split_to(length))
    }

    pub(super) fn tuple(&mut self) -> Result<Tuple, DecodeError> {
        Tuple::take(&mut self.bytes).map_err(|fault| fault.at(self.tag, self.lsn))
    }

    /// Refuses bytes that nobody asked for.
    pub(super) fn end(self) -> Result<(), DecodeError> {
        match self.bytes.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::Trailing { tag: self.tag, lsn: self.lsn, bytes }),
        }
    }

    pub(super) fn truncated(&self, field: &'static str) -> DecodeError {
        DecodeError::Truncated { tag: self.tag, lsn: self.lsn, field }
    }

    pub(super) fn unknown(&self, field: &'static str, value: u8) -> DecodeError {
        DecodeError::UnknownValue { tag: self.tag, lsn: self.lsn, field, value }
    }
}
