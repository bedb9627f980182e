use std::{collections::HashMap, pin::pin, sync::Arc, task::Poll};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, poll, stream::FuturesOrdered};
use tokio_postgres::Client;
use wire::Lsn;

use super::{
    super::{connect::error_of, create::run},
    binding::Binding,
    prepared::{Prepared, address},
    rows::{Ready, Unmet, apply_rows, ready_row},
    set_sql::{COPY_SHAPE, copy_sql},
    sets::{NewRows, Set, Step, identity, steps},
};
use crate::{
    net::{Identity, Irregular, NetTable, Run, net_effect, next_run},
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
    #[error(transparent)]
    Irregular(#[from] Irregular),
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
        let Some(last) = operations.last() else { return Ok(true) };
        let Ok(net) = net(&bindings, operations) else { return Ok(false) };
        let Ok(steps) = plan(&bindings, &net, last.lsn) else { return Ok(false) };
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

    /// What was made is on its way while the next is made.
    async fn run(
        &mut self,
        target: &str,
        client: &Client,
        steps: Vec<Step<'_, '_>>,
    ) -> Result<(), NotAtOnce> {
        let mut answers = FuturesOrdered::new();
        for step in steps {
            let ready = match step {
                Step::Row { relation, operation } => {
                    ready_row(&mut self.prepared, target, client, &relation, &operation).await?
                }
                Step::Set(set) => self.ready_set(client, &set).await?,
                Step::Copy(new) => {
                    let text = new.text()?;
                    // The client does not survive a COPY that is refused before it began, as in a transaction
                    // that failed.
                    while let Some(answer) = answers.next().await {
                        answer?;
                    }
                    self.copy(client, &new, text).await?;
                    continue;
                }
            };
            answers.push_back(ready.run(client));
            while let Poll::Ready(Some(answer)) = poll!(answers.next()) {
                answer?;
            }
        }
        while let Some(answer) = answers.next().await {
            answer?;
        }
        Ok(())
    }

    async fn copy(
        &mut self,
        client: &Client,
        new: &NewRows<'_, '_>,
        text: Bytes,
    ) -> Result<(), NotAtOnce> {
        let relation = &new.binding.relation;
        let statement = match self.prepared.known(relation, COPY_SHAPE) {
            Some(statement) => statement,
            None => {
                let sql = copy_sql(&new.binding);
                let made = self.prepared.prepare(client, relation, COPY_SHAPE, &sql).await;
                made.map_err(Unmet::Failed)?
            }
        };
        let sink = client.copy_in(&statement).await.map_err(Unmet::Failed)?;
        let mut sink = pin!(sink);
        let sent = sink.send(text).await;
        // The server's reason comes with the end.
        let found = sink.finish().await.map_err(Unmet::Failed)?;
        sent.map_err(Unmet::Failed)?;
        let expected = new.len();
        if found == expected { Ok(()) } else { Err(Unmet::Rows { expected, found }.into()) }
    }

    async fn ready_set(&mut self, client: &Client, set: &Set<'_, '_>) -> Result<Ready, NotAtOnce> {
        let (relation, shape) = (&set.binding.relation, set.kind.shape());
        let statement = match self.prepared.known(relation, &shape) {
            Some(statement) => statement,
            None => {
                let sql = set.kind.sql(&set.binding);
                let made = self.prepared.prepare(client, relation, &shape, &sql).await;
                made.map_err(Unmet::Failed)?
            }
        };
        Ok(Ready { statement, params: set.params()?, rows: Some(set.len()) })
    }
}

type Bindings = HashMap<usize, Arc<Binding>>;

fn net<'a>(
    bindings: &Bindings,
    operations: &'a [Operation],
) -> Result<Vec<NetTable<'a>>, Irregular> {
    net_effect(operations, |relation| match bindings.get(&address(relation)) {
        Some(binding) => identity(binding),
        None => Identity::Whole,
    })
}

fn plan<'n, 'a>(
    bindings: &'n Bindings,
    net: &'n [NetTable<'a>],
    lsn: Lsn,
) -> Result<Vec<Step<'n, 'a>>, Irregular> {
    let mut all = Vec::new();
    for table in net {
        let binding = bindings.get(&address(table.relation)).ok_or(Irregular)?;
        all.extend(steps(table, binding, lsn)?);
    }
    Ok(all)
}
