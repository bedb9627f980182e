use bytes::{BufMut, BytesMut};
use wire::Lsn;

use super::copy_data::postgres_us;

/// What the server is told of our progress (manual, 55.4 "Standby status update").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Positions {
    /// Received. Kept by the reader.
    pub written: Lsn,
    /// Durable: the slot's `confirmed_flush_lsn` follows it, and what is before it is never sent again.
    /// Zero leaves the slot as it is.
    pub flushed: Lsn,
    /// Applied; shown in `pg_stat_replication` only.
    pub applied: Lsn,
}

/// Appends a standby status update, as a CopyData message, to `out`.
pub(super) fn put_status(
    positions: Positions,
    now_unix_us: i64,
    reply_requested: bool,
    out: &mut BytesMut,
) {
    out.put_u8(b'd');
    out.put_u32(4 + 1 + 4 * 8 + 1);
    out.put_u8(b'r');
    out.put_u64(positions.written.get());
    out.put_u64(positions.flushed.get());
    out.put_u64(positions.applied.get());
    out.put_i64(postgres_us(now_unix_us));
    out.put_u8(reply_requested.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_manual() {
        let mut out = BytesMut::new();
        let positions =
            Positions { written: Lsn::new(3), flushed: Lsn::new(2), applied: Lsn::new(1) };
        put_status(positions, 946_684_800_000_005, true, &mut out);
        let mut expected = vec![b'd', 0, 0, 0, 38, b'r'];
        for number in [3u64, 2, 1, 5] {
            expected.extend(number.to_be_bytes());
        }
        expected.push(1);
        assert_eq!(out, expected);
    }
}
