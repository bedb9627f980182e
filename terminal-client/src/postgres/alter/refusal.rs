use tokio_postgres::error::SqlState;
use wire::Lsn;

use super::super::{connect::error_of, create::Refused};
use crate::target::TargetError;

/// Why a schema change was not made.
#[derive(Debug)]
pub(super) enum Failure {
    /// Something hangs on what is to go. It may be about to go itself: one statement on the master may
    /// take a key and all that refers to it, and each table comes as a change of its own.
    Depends(TargetError),
    /// Anything else.
    Other(TargetError),
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for TargetError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Depends(error) | Failure::Other(error) => error,
        }
    }
}

/// A schema change that is being made: for messages.
#[derive(Clone, Debug)]
pub(super) struct Blame {
    pub(super) target: String,
    /// The table as the master has it.
    pub(super) table: String,
    pub(super) lsn: Lsn,
}

impl Blame {
    /// Something that the rows to come need cannot be done.
    pub(super) fn refused(&self, sql: &str, refused: &Refused) -> Failure {
        let advice = match refused.code {
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST | SqlState::FEATURE_NOT_SUPPORTED => {
                "drop what hangs on it here, then pull again; make it anew afterwards"
            }
            _ => "remove what is in the way, then pull again",
        };
        let why = format!("`{sql}` is refused: {}", refused.words);
        let error = self.stopped(why, advice.to_owned());
        match refused.code {
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST => Failure::Depends(error),
            _ => Failure::Other(error),
        }
    }

    /// It cannot be done to this table.
    pub(super) fn stopped(&self, why: String, advice: String) -> TargetError {
        TargetError::Table {
            target: self.target.clone(),
            table: self.table.clone(),
            why: format!(
                "it was altered on the master at {}, which cannot be done here, and nothing of that transaction was applied: {why}",
                self.lsn
            ),
            advice,
        }
    }

    /// A look into the catalogue failed.
    pub(super) fn lookup(&self, error: &tokio_postgres::Error) -> TargetError {
        error_of(&self.target, &format!("look up the table {}", self.table), error)
    }
}
