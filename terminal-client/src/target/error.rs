use wire::Lsn;

use super::{conflict::ConflictKind, operation::Operation};

/// Behind the advice to add a column that the stream has: what its rows lack then.
pub const LATER_COLUMN: &str = "Rows that are here have NULL in it then: where the source has values for them, see that a snapshot newer than the column is there (`tailwater-capture snapshot --wait`), and run `tailwater-terminal reload`";

/// For the advice in errors.
pub const LOAD_ANEW: &str = "or run `tailwater-terminal reload`, which loads the tables anew";

/// A change that cannot be applied. Nothing of its target transaction is.
#[derive(Debug, thiserror::Error)]
#[error(
    "target {target}: the {change} at {lsn} of table {table}{key} cannot be applied: {why}; nothing of its transaction was applied. {advice}"
)]
pub struct Unapplied {
    /// The target.
    pub target: String,
    /// insert, update, delete or truncate.
    pub change: &'static str,
    /// The transaction.
    pub lsn: Lsn,
    /// The table.
    pub table: String,
    /// `, key (a=1)`, or nothing.
    pub key: String,
    /// What is in the way.
    pub why: String,
    /// What to do.
    pub advice: String,
}

/// Why a target did not do what was asked. The target is named without its password.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The `--target` cannot be understood.
    #[error("--target cannot be used: {why}")]
    Url {
        /// Why, and what to write.
        why: String,
    },
    /// The server was not reached, or the connection broke.
    #[error(
        "target {target}: no connection: {why}; check that it runs and that host, port and sslmode are right"
    )]
    Unreachable {
        /// The target.
        target: String,
        /// Why.
        why: String,
    },
    /// The target does not let us in, or lacks a right.
    #[error("target {target} refused: {why}; {advice}")]
    Refused {
        /// The target.
        target: String,
        /// Its words.
        why: String,
        /// What to do.
        advice: String,
    },
    /// Another program holds what is needed.
    #[error("target {target} is busy: {why}; it is tried again, or end the program that holds it")]
    Busy {
        /// The target.
        target: String,
        /// Its words.
        why: String,
    },
    /// A statement of ours failed.
    #[error("target {target}: cannot {doing}: {why}")]
    Statement {
        /// The target.
        target: String,
        /// What was being done.
        doing: String,
        /// Its words.
        why: String,
    },
    /// A change cannot be applied. Nothing of its target transaction is.
    #[error(transparent)]
    Apply(Box<Unapplied>),
    /// A table is not as it must be.
    #[error("target {target}: table {table}: {why}; {advice}")]
    Table {
        /// The target.
        target: String,
        /// The table.
        table: String,
        /// What is wrong.
        why: String,
        /// What to do.
        advice: String,
    },
    /// The position row cannot be read.
    #[error(
        "target {target}: the field {field} of the position row cannot be read: {why}; was it changed by hand? Restore it, or take a new target"
    )]
    Position {
        /// The target.
        target: String,
        /// The field.
        field: &'static str,
        /// Why.
        why: String,
    },
}

impl TargetError {
    /// That a change cannot be applied.
    pub fn unapplied(target: &str, operation: &Operation, why: String, advice: String) -> Self {
        Self::Apply(Box::new(Unapplied {
            target: target.to_owned(),
            change: operation.kind(),
            lsn: operation.lsn,
            table: operation.tables(),
            key: operation.shown_key(),
            why,
            advice,
        }))
    }

    /// That a change does not meet its row.
    pub fn conflict(target: &str, operation: &Operation, kind: ConflictKind) -> Self {
        let why = match kind {
            ConflictKind::RowMissing => "the row is not there",
            ConflictKind::RowPresent => "a row with that key is there already",
        };
        let advice = format!(
            "The table was probably changed at the target itself: put the row back as the source had it, or pull with --on-conflict apply, which goes on with the source's row, {LOAD_ANEW}"
        );
        Self::unapplied(target, operation, why.into(), advice)
    }

    /// That a row is not there, and cannot be made from the change.
    pub fn incomplete(target: &str, operation: &Operation, column: &str) -> Self {
        let why = format!(
            "the row is not there, and the change does not carry the value of its column \"{column}\", which it left as it was"
        );
        let advice = format!("Put the row back as the source had it, {LOAD_ANEW}");
        Self::unapplied(target, operation, why, advice)
    }

    /// That a change meets several rows.
    pub fn not_one_row(target: &str, operation: &Operation, found: u64) -> Self {
        let advice = format!(
            "The table was probably changed at the target itself: leave one of them, as the source has it, {LOAD_ANEW}"
        );
        Self::unapplied(target, operation, format!("it meets {found} rows instead of one"), advice)
    }

    /// That what is in quarantine cannot be read.
    pub fn unreadable_quarantine(target: &str, why: String) -> Self {
        let doing = "read the transactions in quarantine".to_owned();
        let why = format!(
            "{why}; were they changed by hand, or by a later version? `tailwater-terminal reload` loads the tables anew, without them"
        );
        Self::Statement { target: target.to_owned(), doing, why }
    }

    /// Whether the change, or what its table is like, is the reason; else it is the target's state at the moment.
    pub fn is_of_a_change(&self) -> bool {
        matches!(self, Self::Apply(_) | Self::Table { .. } | Self::Refused { .. })
    }

    /// Whether it may work a little later, as it is.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. })
    }
}
