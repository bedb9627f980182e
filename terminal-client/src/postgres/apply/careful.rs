//! One change after the other, each only once it is known which rows it will meet: what is left where the faster
//! ways failed. Says what is wrong, or leads to the row that the source has.

use std::sync::Arc;

use tokio_postgres::Client;
use wire::{Change, Relation, Tuple};

use super::{
    binding::Binding,
    rows::{LARGE_BYTES, Ready, Unmet, failed, ready_row, truncate, unfit},
    statement::{finding, finding_shape},
    tables::Tables,
};
use crate::target::{
    ConflictKind, Conflicts, Incomplete, Looks, OnConflict, Operation, RowChange, TargetError,
    resolve,
};

/// What applies changes so, and what it met.
pub(super) struct Careful<'a> {
    pub(super) tables: &'a mut Tables,
    pub(super) target: &'a str,
    pub(super) client: &'a Client,
    pub(super) on_conflict: OnConflict,
    pub(super) met: &'a mut Conflicts,
}

impl Careful<'_> {
    /// Applies changes in the open transaction.
    pub(super) async fn apply(
        &mut self,
        mut operations: Vec<Operation>,
    ) -> Result<(), TargetError> {
        let mut at = 0;
        while let Some(operation) = operations.get_mut(at) {
            if let Change::Truncate { .. } = operation.change {
                let rest = operations.get(at..).unwrap_or_default();
                let Some(operation) = rest.first() else { break };
                let (ready, used) =
                    truncate(self.tables, self.target, self.client, operation, rest).await?;
                self.run(operation, ready).await?;
                at += used;
                continue;
            }
            let changes = self.changes(operation).await?;
            if operation.len() >= LARGE_BYTES {
                // From here on it is only for messages.
                operation.shorten();
            }
            for change in changes {
                let instead = Operation { lsn: operation.lsn, change };
                let Some(relation) = instead.change.relations().first() else { continue };
                let (target, client) = (self.target, self.client);
                let ready = ready_row(self.tables, target, client, relation, &instead).await?;
                drop(instead);
                self.run(operation, ready).await?;
            }
            at += 1;
        }
        Ok(())
    }

    /// What leads to the row that the source has.
    async fn changes(&mut self, operation: &Operation) -> Result<Vec<RowChange>, TargetError> {
        let Some(relation) = operation.change.relations().first() else { return Ok(Vec::new()) };
        let binding = self.binding(relation).await?;
        let key = binding.key.as_deref().unwrap_or_default();
        let Looks { was, becomes } = Looks::of(&operation.change, key);
        let found = self.is_there(operation, &binding, was, None).await?;
        let becomes = self.is_there(operation, &binding, becomes, was).await?;
        let was = found;
        let resolved = resolve(&operation.change, was, becomes);
        let resolved = resolved.map_err(|Incomplete(column)| {
            TargetError::incomplete(self.target, operation, &column)
        })?;
        if let Some(kind) = resolved.conflict {
            if self.on_conflict == OnConflict::Stop {
                return Err(TargetError::conflict(self.target, operation, kind));
            }
            self.met.add(kind, operation);
        }
        Ok(resolved.changes)
    }

    async fn binding(&mut self, relation: &Arc<Relation>) -> Result<Arc<Binding>, TargetError> {
        self.tables.binding(self.target, self.client, relation).await
    }

    /// Whether there is a row that a change of this one will meet, other than that which one of `but` does.
    async fn is_there(
        &mut self,
        operation: &Operation,
        binding: &Binding,
        row: Option<&Tuple>,
        but: Option<&Tuple>,
    ) -> Result<bool, TargetError> {
        let Some(row) = row else { return Ok(false) };
        let (target, client) = (self.target, self.client);
        let made = finding(binding, row, but);
        let made = made.map_err(|why| unfit(target, operation, &why.to_string()))?;
        let (shape, sql) = (finding_shape(binding, row, but), || made.sql);
        let statement = self.tables.statement(client, &binding.relation, &shape, sql).await;
        let statement = statement.map_err(|error| failed(target, operation, &error))?;
        let found = client.execute_raw(&statement, made.params).await;
        match found.map_err(|error| failed(target, operation, &error))? {
            0 => Ok(false),
            1 => Ok(true),
            more => Err(TargetError::not_one_row(target, operation, more)),
        }
    }

    async fn run(&self, operation: &Operation, ready: Ready) -> Result<(), TargetError> {
        match ready.run(self.client).await {
            Ok(()) => Ok(()),
            Err(Unmet::Rows { found, .. }) => Err(self.miscounted(operation, found)),
            Err(Unmet::Failed(error)) => Err(failed(self.target, operation, &error)),
        }
    }

    /// Something else writes to the table at this moment.
    fn miscounted(&self, operation: &Operation, found: u64) -> TargetError {
        match found {
            0 => TargetError::conflict(self.target, operation, ConflictKind::RowMissing),
            more => TargetError::not_one_row(self.target, operation, more),
        }
    }
}
