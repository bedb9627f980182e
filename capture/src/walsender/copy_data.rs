use bytes::{Buf, Bytes};
use wire::Lsn;

/// Microseconds from 1970 to PostgreSQL's year zero, 2000.
const EPOCH_OFFSET_US: i64 = 946_684_800_000_000;

/// Unix time of a PostgreSQL timestamp, both in microseconds.
pub(super) fn unix_us(postgres_us: i64) -> i64 {
    postgres_us.saturating_add(EPOCH_OFFSET_US)
}

/// PostgreSQL timestamp of a Unix time, both in microseconds.
pub(super) fn postgres_us(unix_us: i64) -> i64 {
    unix_us.saturating_sub(EPOCH_OFFSET_US)
}

/// What travels inside the CopyData messages of a replication stream (manual, 55.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyData {
    XLogData(XLogData),
    Keepalive(Keepalive),
}

/// One message of the output plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XLogData {
    /// Position of the WAL record behind the message. Zero where the plugin says more than one thing
    /// about one record (Relation, Origin).
    pub start: Lsn,
    /// Position up to which the server has decoded.
    pub end: Lsn,
    /// Server's clock when it sent this, Unix microseconds.
    pub sent_us: i64,
    /// The plugin's bytes.
    pub payload: Bytes,
}

/// The server is alive, and has decoded up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// All before this was sent, or concerns no published table.
    pub end: Lsn,
    /// Server's clock when it sent this, Unix microseconds.
    pub sent_us: i64,
    /// The server wants a status at once. It is given without the caller's doing.
    pub reply_requested: bool,
}

/// The bytes are no replication message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyDataError {
    /// A kind nobody told us of.
    #[error("the server sent a replication message of the unknown kind '{}'", tag.escape_ascii())]
    UnknownTag { tag: u8 },
    /// Fewer or more bytes than the kind has.
    #[error("the server sent a replication message '{}' of {bytes} bytes, which cannot be", tag.escape_ascii())]
    Length { tag: u8, bytes: usize },
}

impl CopyData {
    /// Reads the body of one CopyData message.
    pub fn parse(mut body: Bytes) -> Result<Self, CopyDataError> {
        let bytes = body.len();
        let tag = body.first().copied().unwrap_or_default();
        match tag {
            b'w' if bytes >= 25 => {
                body.advance(1);
                let (start, end, sent) =
                    (Lsn::new(body.get_u64()), Lsn::new(body.get_u64()), body.get_i64());
                Ok(Self::XLogData(XLogData { start, end, sent_us: unix_us(sent), payload: body }))
            }
            b'k' if bytes == 18 => {
                body.advance(1);
                let (end, sent, reply) = (Lsn::new(body.get_u64()), body.get_i64(), body.get_u8());
                Ok(Self::Keepalive(Keepalive {
                    end,
                    sent_us: unix_us(sent),
                    reply_requested: reply != 0,
                }))
            }
            b'w' | b'k' | 0 => Err(CopyDataError::Length { tag, bytes }),
            _ => Err(CopyDataError::UnknownTag { tag }),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn data_and_keepalive_are_read() {
        let mut bytes = BytesMut::new();
        bytes.put_u8(b'w');
        bytes.put_u64(1);
        bytes.put_u64(2);
        bytes.put_i64(3);
        bytes.put_slice(b"payload");
        let expected = XLogData {
            start: Lsn::new(1),
            end: Lsn::new(2),
            sent_us: 946_684_800_000_003,
            payload: Bytes::from_static(b"payload"),
        };
        assert_eq!(CopyData::parse(bytes.freeze()), Ok(CopyData::XLogData(expected)));

        let mut bytes = BytesMut::new();
        bytes.put_u8(b'k');
        bytes.put_u64(9);
        bytes.put_i64(-946_684_800_000_000);
        bytes.put_u8(1);
        let expected = Keepalive { end: Lsn::new(9), sent_us: 0, reply_requested: true };
        assert_eq!(CopyData::parse(bytes.freeze()), Ok(CopyData::Keepalive(expected)));
    }

    #[test]
    fn others_are_refused_by_name() {
        assert_eq!(
            CopyData::parse(Bytes::from_static(b"s...")),
            Err(CopyDataError::UnknownTag { tag: b's' })
        );
        assert_eq!(
            CopyData::parse(Bytes::from_static(b"wshort")),
            Err(CopyDataError::Length { tag: b'w', bytes: 6 })
        );
        assert_eq!(CopyData::parse(Bytes::new()), Err(CopyDataError::Length { tag: 0, bytes: 0 }));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = CopyData::parse(bytes.into());
        }
    }
}
