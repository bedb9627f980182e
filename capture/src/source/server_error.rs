use std::fmt;

use wire::Lsn;

/// What the server said in an ErrorResponse (PostgreSQL manual, 55.8 "Error and Notice Message Fields").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`, not translated.
    pub severity: String,
    /// SQLSTATE, five characters.
    pub code: String,
    /// In the server's language.
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// What the server was doing.
    pub context: Option<String>,
    /// The C function that raised it. Not translated, so it tells apart what shares one code.
    pub routine: Option<String>,
}

impl ServerError {
    /// The change that was being decoded, which the server tells in its context, in its language
    /// ("…, associated LSN 0/1A2B3C4").
    pub fn position(&self) -> Option<Lsn> {
        let words = self.context.as_deref()?.split(|c: char| !c.is_ascii_hexdigit() && c != '/');
        words.rev().filter(|word| word.contains('/')).find_map(|word| word.parse().ok())
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)?;
        if let Some(detail) = &self.detail {
            write!(f, "; {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

impl From<&tokio_postgres::error::DbError> for ServerError {
    fn from(error: &tokio_postgres::error::DbError) -> Self {
        Self {
            severity: error.severity().to_owned(),
            code: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            context: error.where_().map(str::to_owned),
            routine: error.routine().map(str::to_owned),
        }
    }
}
