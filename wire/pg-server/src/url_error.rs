/// Why a server's URL cannot be used. No variant ever carries a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or no URL at all.
    #[error("it must be a URL that begins with postgres:// (postgres://USER@HOST:5432/DATABASE)")]
    Scheme,
    /// A character of the user or password was taken for a separator.
    #[error(
        "the URL is ambiguous: write '@' as %40, '/' as %2F, '?' as %3F and ':' as %3A inside its user, password and database, \
         or give the password in the environment as PGPASSWORD"
    )]
    Ambiguous,
    /// A part that is needed is not there.
    #[error("the URL names no {part}: write postgres://USER@HOST:5432/DATABASE{hint}")]
    Missing { part: &'static str, hint: &'static str },
    /// An option with a value it cannot have.
    #[error("the URL's option {option}={value} cannot be: it takes {allowed}")]
    Value { option: &'static str, value: String, allowed: &'static str },
    /// An option that is PostgreSQL's, but not ours.
    #[error("the URL's option '{option}' is not supported: leave it out")]
    Unsupported { option: String },
    /// Two options that do not go together.
    #[error("the URL's options do not go together: {why}")]
    Conflict { why: &'static str },
    /// What the reader of the remaining parts said.
    #[error("the URL cannot be read: {why}")]
    Malformed { why: String },
}
