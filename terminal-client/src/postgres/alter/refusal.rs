use tokio_postgres::error::SqlState;
use wire::Lsn;

use super::super::{connect::error_of, create::Refused};
use crate::target::TargetError;

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
    pub(super) fn refused(&self, sql: &str, refused: &Refused) -> TargetError {
        let advice = match refused.code {
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST | SqlState::FEATURE_NOT_SUPPORTED => {
                "drop what hangs on it here, then pull again; make it anew afterwards"
            }
            _ => "remove what is in the way, then pull again",
        };
        self.stopped(format!("`{sql}` is refused: {}", refused.words), advice.to_owned())
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
