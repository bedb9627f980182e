use std::time::Duration;

use wire::{Lineage, Lsn, SourceName};

use crate::{
    fetch::{FetchError, Refusal},
    range::RangeError,
    target::TargetError,
};

/// Why a pull ended without having done what it was to do.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The relay did not give what was asked for.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What it gave cannot be applied.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The target did not take it.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There is no snapshot to start from yet.
    #[error(
        "relay {relay}: source {source_name} has no complete snapshot yet, and a new terminal starts from one; see that its capture runs (`tailwater-relay status`), then pull again"
    )]
    NotReady {
        /// The relay.
        relay: String,
        /// The source.
        source_name: SourceName,
    },
    /// The relay has not come as far as it was when the pull began.
    #[error(
        "relay {relay} is at {head} and the goal of this pull is {goal}: it lags behind the relay asked before; it is waited for"
    )]
    BehindGoal {
        /// The relay.
        relay: String,
        /// Its head.
        head: Lsn,
        /// The goal.
        goal: Lsn,
    },
    /// Other channels than those it was loaded with.
    #[error(
        "the target was loaded with {own}, and --channels says {asked}: a loaded target cannot change its channels; leave --channels as it was, or take a new target"
    )]
    Channels {
        /// As loaded.
        own: String,
        /// As asked.
        asked: String,
    },
    /// The relay's snapshots are of another history.
    #[error(
        "the target has the history {own} of source {source_name}, and the relay {relay} has {theirs}: one is never loaded over the other. Check --relay and --source-name; to follow the relay's, pull into a new database (for SQLite: a new file)"
    )]
    OtherLineage {
        /// The relay.
        relay: String,
        /// The source.
        source_name: SourceName,
        /// The target's.
        own: Lineage,
        /// The relay's.
        theirs: Lineage,
    },
    /// The target's history ended while a snapshot of it was waited for.
    #[error(
        "the relay {relay}: the history of source {source_name} that the target has ended, and another one succeeds it: that is loaded over what is here, in one transaction"
    )]
    Ended {
        /// The relay.
        relay: String,
        /// The source.
        source_name: SourceName,
    },
    /// A relay has not heard that the target's history ended.
    #[error(
        "relay {relay} still has the history of source {source_name} that ended, as another relay said; one that has the history which succeeds it is waited for"
    )]
    StillOld {
        /// The relay.
        relay: String,
        /// The source.
        source_name: SourceName,
    },
    /// The log begins behind the target's position, and no snapshot leads there.
    #[error(
        "the log of source {source_name} at the relay {relay} no longer reaches back to the target's position {own}, and its newest snapshot is at {snapshot}, not beyond it: wait for a newer snapshot, then pull again"
    )]
    NoWayOn {
        /// The relay.
        relay: String,
        /// The source.
        source_name: SourceName,
        /// The target's position.
        own: Lsn,
        /// The newest snapshot's.
        snapshot: Lsn,
    },
    /// A reload of a target that has nothing to be replaced.
    #[error(
        "the target {target} was never loaded with {source_name}, and nothing was changed: check --target and --source-name, or use `tailwater-terminal pull`, which does the first load"
    )]
    NeverLoaded {
        /// The target.
        target: String,
        /// The source.
        source_name: SourceName,
    },
    /// The target's history ended: there is nothing to compare it with.
    #[error(
        "the relay {relay}: the history of source {source_name} that the target has ended, and another one succeeds it; nothing was compared. A pull loads that one, then compare"
    )]
    VerifyEnded {
        /// The relay.
        relay: String,
        /// The source.
        source_name: SourceName,
    },
    /// No snapshot came to compare with.
    #[error(
        "relay {relay}: no snapshot of source {source_name} from {from} on came in the time given (--timeout), and nothing was compared; capture was asked for one: see that it runs (`tailwater-relay status`), then try again"
    )]
    NoSnapshot {
        /// The relay.
        relay: String,
        /// The source.
        source_name: SourceName,
        /// The target's position.
        from: Lsn,
    },
    /// Rows of a reload wait at the target.
    #[error(
        "a reload of source {source_name} is unfinished, and nothing was compared: `tailwater-terminal pull` finishes it, then compare"
    )]
    ReloadUnfinished {
        /// The source.
        source_name: SourceName,
    },
    /// A table to be compared that is not in the snapshot.
    #[error(
        "the snapshot of source {source_name} has no table {table}, and nothing was compared: --tables takes names as schema.table, of tables that are published"
    )]
    NoSuchTable {
        /// The source.
        source_name: SourceName,
        /// As it was given.
        table: String,
    },
    /// A reload found the target in use.
    #[error(
        "another run is pulling {source_name} into this target, and nothing was done: end it (a service that follows, too), then try again"
    )]
    InUse {
        /// The source.
        source_name: SourceName,
    },
    /// The stream lacks rows of a table that was rewritten, or that joined with rows in it, and no snapshot
    /// from there on came.
    #[error(
        "table {table} of source {source_name}: at {lsn} {}, and its rows are not in the stream; nothing of that transaction was applied. A snapshot from there on has them, and did not come in the time given: capture takes one by itself, so see that it runs (`tailwater-relay status`). The next pull goes on",
        if *.joined { "it joined the publication with rows in it" } else { "an ALTER TABLE rewrote it" }
    )]
    RowsNeeded {
        /// The source.
        source_name: SourceName,
        /// The transaction.
        lsn: Lsn,
        /// The table.
        table: String,
        /// Whether the table is new to the stream.
        joined: bool,
    },
    /// A definition of the stream's does not fit the table here.
    #[error("{error}. Nothing of the transaction at {lsn}, in which it comes, was applied")]
    Stopped {
        /// The transaction.
        lsn: Lsn,
        /// What is wrong.
        error: TargetError,
    },
    /// What was done to a table cannot be read.
    #[error(
        "source {source_name}: the schema change at {lsn} cannot be read: {why}; nothing of its transaction was applied. Is this terminal older than capture? Then install the same version, and pull again"
    )]
    SchemaChange {
        /// The source.
        source_name: SourceName,
        /// The transaction.
        lsn: Lsn,
        /// What is wrong.
        why: String,
    },
    /// A transaction that should go into quarantine, and cannot.
    #[error(
        "the transaction at {lsn} can neither be applied nor kept aside: {why}. Nothing of it was applied; see `tailwater-terminal status`, put right what is in the way, then `tailwater-terminal retry` and pull again; or `tailwater-terminal reload`"
    )]
    NotHeld {
        /// The transaction.
        lsn: Lsn,
        /// Why.
        why: String,
    },
    /// What is in quarantine stands in the way of going to an exact position.
    #[error(
        "{held} transactions of source {source_name} are in quarantine: beside them the target cannot be taken to exactly a snapshot, for rows that the stream lacks or to be verified. Put right what is in their way, then `tailwater-terminal retry`; or `tailwater-terminal reload`"
    )]
    HeldBack {
        /// The source.
        source_name: SourceName,
        /// How many there are.
        held: usize,
    },
    /// A snapshot that cannot be what it says.
    #[error(
        "the snapshot at {lsn} of source {source_name}: table {table}: {why}; the load stays unfinished"
    )]
    Snapshot {
        /// The source.
        source_name: SourceName,
        /// The snapshot.
        lsn: Lsn,
        /// The table.
        table: String,
        /// What is wrong.
        why: String,
    },
    /// A connection of this run that broke still holds the target's lock.
    #[error(
        "the target's lock is still held by this run's earlier connection, whose statement is still running; it is waited for"
    )]
    StillHeld,
    /// It went on failing for as long as it was given.
    #[error("given up after {} without progress: {last}", shown(*.after))]
    GaveUp {
        /// How long.
        after: Duration,
        /// The last failure.
        last: Box<PullError>,
    },
    /// A task of ours ended without an answer.
    #[error("internal: {0}; please report it")]
    Internal(String),
}

impl PullError {
    /// Whether it may work a little later, as it is.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Fetch(error) => matches!(
                error,
                FetchError::Unreachable { .. }
                    | FetchError::Behind { .. }
                    | FetchError::SnapshotGone { .. }
                    | FetchError::Ended
            ),
            Self::Target(error) => error.is_transient(),
            Self::NotReady { .. }
            | Self::StillOld { .. }
            | Self::BehindGoal { .. }
            | Self::StillHeld => true,
            _ => false,
        }
    }

    /// Whether the log begins behind the target's position.
    pub(super) fn is_expired(&self) -> bool {
        let Self::Fetch(error) = self else { return false };
        matches!(error.refusal(), Some(Refusal::Expired { .. }))
    }

    /// Whether the target's history ended, and another one succeeds it.
    pub(super) fn is_succeeded(&self) -> bool {
        match self {
            Self::Fetch(error) => error.refusal() == Some(Refusal::Succeeded),
            Self::Ended { .. } => true,
            _ => false,
        }
    }

    /// The exit code: 2 usage or configuration, 3 the other side refused, 4 not reachable or not ready
    /// in the time given, 1 the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Fetch(error) => error.exit_code(),
            Self::Range(error) if error.is_fork() => 3,
            Self::Range(_)
            | Self::Internal(_)
            | Self::Snapshot { .. }
            | Self::NotHeld { .. }
            | Self::HeldBack { .. }
            | Self::SchemaChange { .. } => 1,
            Self::Target(error) | Self::Stopped { error, .. } => target_code(error),
            Self::OtherLineage { .. }
            | Self::NoWayOn { .. }
            | Self::Ended { .. }
            | Self::VerifyEnded { .. } => 3,
            Self::NotReady { .. }
            | Self::StillOld { .. }
            | Self::BehindGoal { .. }
            | Self::StillHeld
            | Self::RowsNeeded { .. }
            | Self::NoSnapshot { .. }
            | Self::ReloadUnfinished { .. }
            | Self::InUse { .. } => 4,
            Self::Channels { .. } | Self::NeverLoaded { .. } | Self::NoSuchTable { .. } => 2,
            Self::GaveUp { .. } => 4,
        }
    }
}

fn target_code(error: &TargetError) -> u8 {
    match error {
        TargetError::Url { .. } => 2,
        TargetError::Refused { .. } => 3,
        TargetError::Unreachable { .. } | TargetError::Busy { .. } => 4,
        _ => 1,
    }
}

fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, 0) => format!("{} ms", duration.as_millis()),
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}
