//! The few messages of the server that are read outside the stream (PostgreSQL manual, 55.7).

use bytes::{Buf, Bytes};

use crate::source::ServerError;

pub(super) const AUTHENTICATION: u8 = b'R';
pub(super) const BACKEND_KEY: u8 = b'K';
pub(super) const COMMAND_COMPLETE: u8 = b'C';
pub(super) const COPY_BOTH: u8 = b'W';
pub(super) const COPY_DATA: u8 = b'd';
pub(super) const COPY_DONE: u8 = b'c';
pub(super) const DATA_ROW: u8 = b'D';
pub(super) const EMPTY_QUERY: u8 = b'I';
pub(super) const ERROR: u8 = b'E';
pub(super) const NOTICE: u8 = b'N';
pub(super) const NOTIFICATION: u8 = b'A';
pub(super) const PARAMETER: u8 = b'S';
pub(super) const READY: u8 = b'Z';
pub(super) const ROW_DESCRIPTION: u8 = b'T';

/// Takes `count` bytes, or nothing where there are fewer.
fn take(bytes: &mut Bytes, count: usize) -> Option<Bytes> {
    (bytes.len() >= count).then(|| bytes.split_to(count))
}

/// Takes a text that ends with a zero byte, without it.
pub(super) fn take_text(bytes: &mut Bytes) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let text = bytes.split_to(end);
    bytes.advance(1);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// ErrorResponse or NoticeResponse. What is broken in it is left out: the rest still helps.
pub(super) fn server_error(mut body: Bytes) -> ServerError {
    let mut error = ServerError {
        severity: String::new(),
        code: String::new(),
        message: String::new(),
        detail: None,
        hint: None,
        context: None,
        routine: None,
    };
    while let Ok(kind) = body.try_get_u8() {
        let Some(text) = take_text(&mut body) else { break };
        match kind {
            b'V' => error.severity = text,
            b'S' if error.severity.is_empty() => error.severity = text,
            b'C' => error.code = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            b'W' => error.context = Some(text),
            b'R' => error.routine = Some(text),
            _ => {}
        }
    }
    error
}

/// ParameterStatus: name and value.
pub(super) fn parameter(mut body: Bytes) -> Option<(String, String)> {
    Some((take_text(&mut body)?, take_text(&mut body)?))
}

/// DataRow in text format; a NULL is `None`.
pub(super) fn row(mut body: Bytes) -> Option<Vec<Option<Bytes>>> {
    let columns = body.try_get_u16().ok()?;
    (0..columns)
        .map(|_| match body.try_get_i32().ok()? {
            -1 => Some(None),
            length => Some(Some(take(&mut body, usize::try_from(length).ok()?)?)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_error_is_read_field_by_field() {
        let body = Bytes::from_static(b"SFEHLER\0VERROR\0C55006\0Mslot is active for PID 12\0Hwait\0RReplicationSlotAcquire\0\0");
        let error = server_error(body);
        assert_eq!((error.severity.as_str(), error.code.as_str()), ("ERROR", "55006"));
        assert_eq!(error.to_string(), "slot is active for PID 12 (SQLSTATE 55006); wait");
        assert_eq!(
            crate::source::Refusal::of(&error),
            crate::source::Refusal::SlotActive { pid: Some(12) }
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            let _ = (server_error(bytes.clone()), parameter(bytes.clone()), row(bytes));
        }
    }
}
