use wire::ReplicaIdentity;

use super::{
    super::database::Database,
    rows::{LARGE_BYTES, RowApply},
};
use crate::{
    net::{Identity, Run, net_effect, next_run},
    target::{Conflicts, OnConflict, Operation, TargetError},
};

/// Applies changes by their net effect; where that fails, one by one in the order of the source, which says
/// what is wrong, or leads to the rows that the source has.
#[derive(Debug, Default)]
pub(in super::super) struct Apply {
    rows: RowApply,
    /// What becomes of changes that do not meet their rows.
    pub(in super::super) on_conflict: OnConflict,
    /// Those in the open transaction.
    met: Conflicts,
}

impl Apply {
    /// A transaction was opened, or undone.
    pub(in super::super) fn begun(&mut self) {
        self.met = Conflicts::default();
    }

    /// What was met since then was undone.
    pub(in super::super) fn undone_to(&mut self, met: Conflicts) {
        self.met = met;
    }

    /// What was learned about tables may not hold any more.
    pub(in super::super) fn forget_tables(&mut self) {
        self.rows = RowApply::default();
    }

    /// What the open transaction met that was otherwise than at the source.
    pub(in super::super) fn met(&self) -> &Conflicts {
        &self.met
    }

    /// Applies changes in the open transaction.
    pub(in super::super) fn apply(
        &mut self,
        database: &Database,
        operations: Vec<Operation>,
    ) -> Result<(), TargetError> {
        let mut rest = operations;
        while let Some(run) = next_run(&mut rest) {
            match run {
                Run::Many(next) if self.by_net_effect(database, &next)? => {}
                Run::Many(next) | Run::OneByOne(next) => self.in_order(database, next)?,
            }
        }
        Ok(())
    }

    fn in_order(
        &mut self,
        database: &Database,
        operations: Vec<Operation>,
    ) -> Result<(), TargetError> {
        if self.on_conflict == OnConflict::Stop {
            return self.rows(database, operations);
        }
        for operation in operations {
            if database.stopped() {
                break;
            }
            // A large one is not kept for a second try.
            if operation.len() <= LARGE_BYTES {
                match self.rows.apply(database, operation.clone()) {
                    Ok(()) => continue,
                    Err(TargetError::Apply(_)) if !database.connection.is_autocommit() => {}
                    Err(error) => return Err(error),
                }
            }
            self.rows.apply_carefully(database, operation, &mut self.met)?;
        }
        Ok(())
    }

    fn rows(&mut self, database: &Database, operations: Vec<Operation>) -> Result<(), TargetError> {
        for operation in operations {
            if database.stopped() {
                break;
            }
            self.rows.apply(database, operation)?;
        }
        Ok(())
    }

    /// Whether they were applied; otherwise it is as if nothing had been done.
    fn by_net_effect(
        &mut self,
        database: &Database,
        operations: &[Operation],
    ) -> Result<bool, TargetError> {
        let Some(net) = reduced(operations) else { return Ok(false) };
        // Tables that are missing are made outside of what may be undone.
        for relation in operations.iter().flat_map(|operation| operation.change.relations()) {
            self.rows.plan(database, relation)?;
        }
        let (changes, statements) = (operations.len(), net.len());
        savepoint(database, "SAVEPOINT tailwater")?;
        match self.rows(database, net) {
            Ok(()) => {
                tracing::debug!(changes, statements, "applied by their net effect");
                savepoint(database, "RELEASE tailwater")?;
                Ok(true)
            }
            // Where the whole transaction is undone already there is nothing to go back to.
            Err(error) if database.connection.is_autocommit() => Err(error),
            Err(error) => {
                tracing::debug!(%error, changes, "applied one by one");
                savepoint(database, "ROLLBACK TO tailwater; RELEASE tailwater")?;
                Ok(false)
            }
        }
    }
}

fn savepoint(database: &Database, sql: &str) -> Result<(), TargetError> {
    database.did("set a savepoint", database.connection.execute_batch(sql))
}

/// What the changes come to; none where they have no net effect.
fn reduced(operations: &[Operation]) -> Option<Vec<Operation>> {
    let lsn = operations.last()?.lsn;
    let net = net_effect(operations, |relation| match relation.identity {
        ReplicaIdentity::Full => Identity::Whole,
        _ => {
            let keys = relation.columns.iter().enumerate().filter(|(_, column)| column.key);
            Identity::Columns(keys.map(|(at, _)| at).collect())
        }
    });
    let net = net.ok()?;
    Some(
        net.iter()
            .flat_map(|table| table.changes())
            .map(|change| Operation { lsn, change })
            .collect(),
    )
}
