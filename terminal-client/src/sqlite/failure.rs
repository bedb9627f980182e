use rusqlite::{Error, ErrorCode};

use crate::target::TargetError;

/// What a failure of SQLite means. `doing` follows on "cannot".
pub(super) fn failed(target: &str, doing: &str, error: &Error) -> TargetError {
    let why = error.to_string();
    let target = target.to_owned();
    let refused = |advice: &str| TargetError::Refused {
        target: target.clone(),
        why: format!("cannot {doing}: {why}"),
        advice: advice.to_owned(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let why =
                format!("cannot {doing}: {why} by another program that is writing to the file");
            TargetError::Busy { target, why }
        }
        Some(ErrorCode::NotADatabase) => {
            refused("give the name of a SQLite file, or of a new file")
        }
        Some(ErrorCode::DatabaseCorrupt) => refused(
            "the file is damaged: put back a copy, or remove it with its -wal and -shm files to load this terminal anew",
        ),
        Some(
            ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::AuthorizationForStatementDenied,
        ) => refused("the user who runs this must be able to write to the file and to its folder"),
        Some(ErrorCode::DiskFull) => TargetError::Statement {
            target,
            doing: doing.to_owned(),
            why: format!(
                "{why}: no room on its disk (or on that of the folder for temporary files); make room, then pull again"
            ),
        },
        _ => TargetError::Statement { target, doing: doing.to_owned(), why },
    }
}
