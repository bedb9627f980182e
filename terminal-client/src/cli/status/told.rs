use serde::Serialize;
use wire::{ChannelName, Lineage, Lsn, SourceName, TerminalName, TerminalState};

use super::schedule::PullTimes;
use crate::{
    pull::NextRun,
    target::{HeldTransaction, Target, TargetError},
};

/// What `status` says.
#[derive(Debug, Serialize)]
pub(super) struct TargetStatus {
    pub(super) target: String,
    pub(super) notes: Vec<String>,
    /// None where no --config file says when `pull` runs.
    pub(super) schedule: Option<PullTimes>,
    pub(super) sources: Vec<SourceStatus>,
}

#[derive(Debug, Serialize)]
pub(super) struct SourceStatus {
    pub(super) source: SourceName,
    /// `new`, `loading` or `ready`.
    pub(super) state: &'static str,
    /// None where it is new.
    pub(super) lineage: Option<Lineage>,
    /// None while the first load is under way.
    pub(super) lsn: Option<Lsn>,
    /// When the position moved last, by the target's clock (RFC 3339, UTC).
    pub(super) last_commit: Option<String>,
    /// None where none is under way, or it has not made a table yet.
    pub(super) load: Option<LoadStatus>,
    /// None for all.
    pub(super) channels: Option<Vec<ChannelName>>,
    /// Where the target was found otherwise than the source, and what is done about it.
    #[serde(flatten)]
    pub(super) divergence: Divergence,
    /// None where no relay was given.
    pub(super) relay: Option<RelayStatus>,
    /// None where no relay was given, or none told.
    pub(super) next_run: Option<NextRun>,
}

/// Where a target was found otherwise than the source.
#[derive(Debug, Serialize)]
pub(super) struct Divergence {
    /// Changes that did not meet their rows since the first load, by table and kind.
    pub(super) conflicts: Vec<ConflictStatus>,
    /// Transactions that could not be applied, and wait.
    pub(super) quarantine: Vec<HeldStatus>,
    /// Whether other writers are refused.
    pub(super) guard: bool,
}

/// A transaction in quarantine.
#[derive(Debug, Serialize)]
pub(super) struct HeldStatus {
    pub(super) lsn: Lsn,
    pub(super) changes: usize,
    pub(super) why: String,
}

/// Conflicts of one kind in one table.
#[derive(Debug, Serialize)]
pub(super) struct ConflictStatus {
    pub(super) table: String,
    pub(super) kind: &'static str,
    pub(super) count: u64,
    pub(super) last: Lsn,
    pub(super) last_key: String,
}

impl Divergence {
    pub(super) async fn of<T: Target>(
        target: &mut T,
        source: &SourceName,
    ) -> Result<Self, TargetError> {
        let conflicts = target.conflicts(source).await?.into_iter().map(|of| ConflictStatus {
            table: of.table,
            kind: of.kind.word(),
            count: of.count,
            last: of.last,
            last_key: of.last_key,
        });
        let conflicts = conflicts.collect();
        let held = target.held(source).await?.into_iter();
        let quarantine = held.map(|HeldTransaction { lsn, why, operations }| HeldStatus {
            lsn,
            changes: operations.len(),
            why,
        });
        let quarantine = quarantine.collect();
        Ok(Self { conflicts, quarantine, guard: target.is_guarded(source).await? })
    }
}

/// How far a load is.
#[derive(Debug, Serialize)]
pub(super) struct LoadStatus {
    /// `first load`, or `reload`: then the tables are whole meanwhile, as of the position.
    pub(super) kind: &'static str,
    /// The snapshot's position.
    pub(super) snapshot: Lsn,
    /// Tables whose rows are all in.
    pub(super) tables: usize,
    /// Bytes of rows that are in, of so many, as COPY prints them.
    pub(super) bytes: u64,
    pub(super) total_bytes: u64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct RelayStatus {
    pub(super) url: String,
    pub(super) head: Option<Lsn>,
    /// Bytes of WAL.
    pub(super) behind_bytes: Option<u64>,
    /// Age of the oldest commit that is missing.
    pub(super) behind_seconds: Option<f64>,
    /// Transactions that are missing, at least and at most (none where not all were counted).
    pub(super) behind_transactions: Option<(u64, Option<u64>)>,
    /// None where the relay has not heard of the terminal.
    pub(super) heard: Option<Heard>,
    pub(super) error: Option<String>,
    /// The exit code that goes with the error.
    #[serde(skip)]
    pub(super) code: Option<u8>,
}

/// When the relay heard of this terminal last, and what.
#[derive(Debug, Serialize)]
pub(super) struct Heard {
    pub(super) name: TerminalName,
    pub(super) last_contact: Option<String>,
    pub(super) state: TerminalState,
    pub(super) error: Option<String>,
}
