use crate::{append::RelayError, source::SqlError};

/// Why a copy stopped. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A statement failed, or the connection broke.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A table could not be read to its end.
    #[error("the rows of {table} could not be copied: {source}. {}", advice(source))]
    Table { table: String, source: Box<SqlError> },
    /// It was not there when the tables were locked, so it may have been changed since.
    #[error("the table {table} joined the published tables while they were locked for the copy")]
    Joined { table: String },
    /// A connection's task ended without a word.
    #[error("the copy was ended")]
    Ended,
    /// The relay.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// An object could not be made.
    #[error("an object with rows of {table} cannot be made")]
    Object { table: String, source: wire::ObjectError },
    /// The connection that holds the snapshot is gone.
    #[error(
        "the table {table} was copied with a row that does not end: the server ended COPY in the middle of a row"
    )]
    Torn { table: String },
}

fn advice(error: &SqlError) -> &'static str {
    use crate::source::Refusal;
    match error.refusal() {
        Some(Refusal::NoRights) => {
            "Give the role SELECT on it; if it has row level security, BYPASSRLS (`tailwater-capture check` prints the SQL)"
        }
        _ => "Nothing of the copy is kept: it begins anew",
    }
}
