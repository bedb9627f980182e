use wire::{Snapshot, SourceName};

use super::{
    super::database::Database,
    count::count,
    exchange::{empty_joined, exchange},
    record,
    tables::{LoadTable, finish_table},
};
use crate::target::{LoadPlan, TargetError, wrong_count};

/// How a load ends, in the open transaction.
#[derive(Debug)]
pub(in super::super) enum Ending {
    /// All is there; the position is to be written and committed.
    Complete,
    /// Something else wrote to one of its tables.
    Mixed(TargetError),
}

/// Proves the rows, exchanges those of a reload, then makes keys and indexes and removes the load's
/// record.
pub(in super::super) fn finish(
    database: &Database,
    source: &SourceName,
    snapshot: &Snapshot,
    plan: &LoadPlan,
    tables: Vec<LoadTable>,
) -> Result<Ending, TargetError> {
    for (of, table) in snapshot.tables.iter().zip(&tables) {
        let rows = count(database, &table.into)?.unwrap_or_default();
        if let Some(wrong) = wrong_count(&database.target, plan, of, rows) {
            return Ok(Ending::Mixed(wrong));
        }
    }
    if plan.reload.is_some() {
        empty_joined(database, source, snapshot)?;
    }
    for (of, table) in snapshot.tables.iter().zip(tables) {
        if database.stopped() {
            return Err(TargetError::Statement {
                target: database.target.clone(),
                doing: "go on".into(),
                why: "it is being closed".into(),
            });
        }
        if plan.reload.is_some() {
            exchange(database, source, snapshot.lsn, (&table, of))?;
        }
        finish_table(database, source, &table)?;
    }
    record::remove(database, source)?;
    Ok(Ending::Complete)
}
