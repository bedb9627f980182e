use std::{collections::HashMap, sync::Arc};

use tokio_postgres::Client;
use wire::Relation;

use super::{
    super::{connect::error_of, create::run},
    binding::Binding,
    prepared::{Prepared, address},
    rows::{Ready, Unmet, apply_rows, ready_row, run_all},
    sets::{Step, identity, steps},
};
use crate::{
    net::{Identity, Run, net_effect, next_run},
    target::{Operation, TargetError},
};

/// Applies changes by their net effect, many rows by one statement; where that fails, one by one in the order
/// of the source, which says what is wrong.
#[derive(Default)]
pub(in super::super) struct Apply {
    prepared: Prepared,
}

/// Why many changes were not applied at once.
#[derive(Debug, thiserror::Error)]
enum NotAtOnce {
    #[error(transparent)]
    Unmet(#[from] Unmet),
    #[error(transparent)]
    Row(#[from] TargetError),
}

impl Apply {
    /// Applies changes in the open transaction.
    pub(in super::super) async fn apply(
        &mut self,
        target: &str,
        client: &Client,
        operations: Vec<Operation>,
    ) -> Result<(), TargetError> {
        let mut rest = operations;
        while let Some(run) = next_run(&mut rest) {
            match run {
                Run::Many(next) if self.at_once(target, client, &next).await? => {}
                Run::Many(next) | Run::OneByOne(next) => {
                    apply_rows(&mut self.prepared, target, client, next).await?
                }
            }
        }
        Ok(())
    }

    /// Whether they were applied; otherwise it is as if nothing had been done.
    async fn at_once(
        &mut self,
        target: &str,
        client: &Client,
        operations: &[Operation],
    ) -> Result<bool, TargetError> {
        let Some(bindings) = self.bindings(target, client, operations).await? else {
            return Ok(false);
        };
        let Some(steps) = plan(&bindings, operations) else { return Ok(false) };
        let (changes, statements) = (operations.len(), steps.len());
        run(target, client, "set a savepoint", "SAVEPOINT tailwater").await?;
        match self.run(target, client, steps).await {
            Ok(()) => {
                tracing::debug!(changes, statements, "applied by their net effect");
                run(target, client, "release a savepoint", "RELEASE SAVEPOINT tailwater").await?;
                Ok(true)
            }
            Err(NotAtOnce::Unmet(Unmet::Failed(error))) if client.is_closed() => {
                Err(error_of(target, "apply changes", &error))
            }
            Err(failed) => {
                tracing::debug!(%failed, changes, "applied one by one");
                let sql = "ROLLBACK TO SAVEPOINT tailwater; RELEASE SAVEPOINT tailwater";
                run(target, client, "go back to a savepoint", sql).await?;
                Ok(false)
            }
        }
    }

    /// The tables of these changes by the address of their relation; none where one does not take sets.
    async fn bindings(
        &mut self,
        target: &str,
        client: &Client,
        operations: &[Operation],
    ) -> Result<Option<Bindings>, TargetError> {
        let mut bindings = Bindings::new();
        for operation in operations {
            for relation in operation.change.relations() {
                if bindings.contains_key(&address(relation)) {
                    continue;
                }
                let binding = self.prepared.binding(target, client, relation).await?;
                if !binding.takes_sets {
                    return Ok(None);
                }
                bindings.insert(address(relation), binding);
            }
        }
        Ok(Some(bindings))
    }

    async fn run(
        &mut self,
        target: &str,
        client: &Client,
        steps: Vec<Step>,
    ) -> Result<(), NotAtOnce> {
        let mut all = Vec::with_capacity(steps.len());
        for step in steps {
            let ready = match step {
                Step::Row { relation, operation } => {
                    ready_row(&mut self.prepared, target, client, &relation, &operation).await?
                }
                Step::Set { binding, kind, params, rows } => {
                    let (relation, shape) = (&binding.relation, kind.shape());
                    let statement = match self.prepared.known(relation, &shape) {
                        Some(statement) => statement,
                        None => {
                            let sql = kind.sql(&binding);
                            let made = self.prepared.prepare(client, relation, &shape, &sql).await;
                            made.map_err(Unmet::Failed)?
                        }
                    };
                    Ready { statement, params, rows: Some(rows) }
                }
            };
            all.push((0, ready));
        }
        run_all(client, all, |_, unmet| Err(unmet.into())).await
    }
}

type Bindings = HashMap<usize, Arc<Binding>>;

/// What to run; none where the changes have no net effect.
fn plan(bindings: &Bindings, operations: &[Operation]) -> Option<Vec<Step>> {
    let key = |relation: &Arc<Relation>| match bindings.get(&address(relation)) {
        Some(binding) => identity(binding),
        None => Identity::Whole,
    };
    let lsn = operations.last()?.lsn;
    let net = net_effect(operations, key).ok()?;
    let mut all = Vec::new();
    for table in &net {
        all.extend(steps(table, bindings.get(&address(table.relation))?, lsn).ok()?);
    }
    Some(all)
}
