use wire::Lsn;

/// Why a message of pgoutput cannot be read. The stream must stop here: nothing is ever guessed or left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A kind that protocol 1 does not have.
    #[error(
        "unknown pgoutput message '{}' at {lsn}: this server speaks a dialect this version does not know; \
         look for a newer version, and report the tag and the server's version", tag.escape_ascii()
    )]
    UnknownTag { tag: u8, lsn: Lsn },
    /// Fewer bytes than the message says it has.
    #[error("pgoutput message '{}' at {lsn} ends inside its {field}: bytes were lost on the way, or the server is broken", tag.escape_ascii())]
    Truncated { tag: u8, lsn: Lsn, field: &'static str },
    /// More bytes than the message needs.
    #[error("pgoutput message '{}' at {lsn} has {bytes} bytes too many", tag.escape_ascii())]
    Trailing { tag: u8, lsn: Lsn, bytes: usize },
    /// A field with a value that protocol 1 does not define.
    #[error("pgoutput message '{}' at {lsn} has {field} = {value}, which this version does not know", tag.escape_ascii())]
    UnknownValue { tag: u8, lsn: Lsn, field: &'static str, value: u8 },
    /// A name in another encoding than the session's.
    #[error("pgoutput message '{}' at {lsn} has a {field} that is not UTF-8: rename it, or convert the database from SQL_ASCII", tag.escape_ascii())]
    NotUtf8 { tag: u8, lsn: Lsn, field: &'static str },
}
