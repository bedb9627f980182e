use std::error::Error;

use tokio_postgres::error::{DbError, SqlState};

use crate::target::TargetError;

/// An error with all that lies below it, in one line.
pub(crate) fn why(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        below = error.source();
    }
    text
}

/// A server's words with SQLSTATE, detail and hint.
pub(crate) fn words(db: &DbError) -> String {
    let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
    for more in [db.detail(), db.hint()].into_iter().flatten() {
        text = format!("{text}; {more}");
    }
    text
}

/// What a failed statement or connection means. `doing` follows on "cannot".
pub(crate) fn error_of(target: &str, doing: &str, error: &tokio_postgres::Error) -> TargetError {
    let target = target.to_owned();
    let Some(db) = error.as_db_error() else {
        return TargetError::Unreachable { target, why: why(error) };
    };
    let why = words(db);
    let refused = |advice: &str| TargetError::Refused {
        target: target.clone(),
        why: why.clone(),
        advice: advice.to_owned(),
    };
    match db.code() {
        code if *code == SqlState::INVALID_PASSWORD => {
            refused("check user and password of --target (or PGPASSWORD)")
        }
        code if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            refused("let this role in: a line for it and this host in the target's pg_hba.conf")
        }
        code if *code == SqlState::UNDEFINED_DATABASE
            || *code == SqlState::INVALID_CATALOG_NAME =>
        {
            refused("create it with createdb, or correct the database's name in --target")
        }
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => refused(&format!(
            "while it was to {doing}: give the role of --target that right (it needs CREATE on the database, and to own the tables)"
        )),
        code if is_passing(code) => TargetError::Unreachable { target, why },
        code if *code == SqlState::LOCK_NOT_AVAILABLE
            || *code == SqlState::T_R_DEADLOCK_DETECTED
            || *code == SqlState::T_R_SERIALIZATION_FAILURE =>
        {
            TargetError::Busy { target, why }
        }
        _ => TargetError::Statement { target, doing: doing.to_owned(), why },
    }
}

/// The server is starting, stopping or full: another attempt may succeed.
fn is_passing(code: &SqlState) -> bool {
    [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
    ]
    .contains(code)
        || code.code().starts_with("08")
}
