use wire::Lsn;

use super::history::HistoryError;

/// The stream cannot be turned into slices. Nothing is skipped: capture stops.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A message where the protocol has no place for it.
    #[error(
        "the server sent {what} at {lsn}, which the protocol does not allow: this is no PostgreSQL server of a \
         known version, or bytes were lost; report it with the server's version"
    )]
    Order { what: &'static str, lsn: Lsn },
    /// A change of a table that was never described.
    #[error(
        "the server sent a change of the table with OID {oid} at {lsn} without having described the table: \
         report it with the server's version"
    )]
    UnknownRelation { oid: u32, lsn: Lsn },
    /// A row that does not fit its table.
    #[error(
        "a row of {table} at {lsn} has {found} columns where the table has {expected}: report it with the server's version"
    )]
    Columns { table: String, lsn: Lsn, expected: usize, found: usize },
    /// Commits must come in the order of their positions.
    #[error(
        "a transaction that ends at {end} came behind {position}: the server's WAL does not go forward; \
         was the master put back to an older state while it was captured?"
    )]
    Backwards { position: Lsn, end: Lsn },
    /// What comes is not what the log holds.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A slice cannot be made.
    #[error("the slice behind {after} cannot be made")]
    Slice { after: Lsn, source: wire::SliceError },
    /// A part of a huge transaction cannot be made.
    #[error("a part of transaction {xid} (commit record at {lsn}) cannot be made")]
    Part { xid: u32, lsn: Lsn, source: wire::ObjectError },
}
