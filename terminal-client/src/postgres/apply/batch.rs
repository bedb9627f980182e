use std::{collections::HashMap, pin::pin, sync::Arc, task::Poll};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, future::join, poll, stream::FuturesOrdered};
use tokio_postgres::{Client, Error, Statement};
use wire::Lsn;

use super::{
    super::{connect::error_of, create::run},
    binding::Binding,
    careful::Careful,
    rows::{LARGE_BYTES, NotInOrder, Ready, Unmet, apply_rows, ready_row},
    set_sql::{COPY_SHAPE, copy_sql},
    sets::{NewRows, Set, Step, identity, steps},
    tables::{Tables, address},
};
use crate::{
    net::{Identity, Irregular, NetTable, Run, net_effect, next_run},
    target::{Conflicts, OnConflict, Operation, TargetError},
};

/// Applies changes by their net effect, many rows by one statement; where that fails, one by one in the order
/// of the source; where that fails too, each only once it is known which rows it will meet, which says what is
/// wrong.
#[derive(Default)]
pub(in super::super) struct Apply {
    tables: Tables,
    /// What becomes of changes that do not meet their rows.
    pub(in super::super) on_conflict: OnConflict,
    /// Those in the open transaction.
    met: Conflicts,
    /// Whether the open transaction has one that is not released.
    savepoint: bool,
    /// Whether a COPY was refused: the connection is of no more use.
    broken: bool,
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
    /// A COPY did not begin, and with that the connection is of no more use.
    #[error(transparent)]
    Refused(Error),
}

impl Apply {
    /// A transaction was opened.
    pub(in super::super) fn begun(&mut self) {
        self.savepoint = false;
        self.met = Conflicts::default();
    }

    /// Whether the connection is of no more use.
    pub(in super::super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Its last savepoint is gone; with what was met since then, where that was undone.
    pub(in super::super) fn began_again(&mut self, undone_to: Option<Conflicts>) {
        self.savepoint = false;
        if let Some(met) = undone_to {
            self.met = met;
            self.forget_tables();
        }
    }

    /// What was learned about tables, and statements, may not hold any more.
    pub(in super::super) fn forget_tables(&mut self) {
        self.tables = Tables::default();
    }

    /// What the open transaction met that was otherwise than at the source.
    pub(in super::super) fn met(&self) -> &Conflicts {
        &self.met
    }

    /// Applies changes in the open transaction.
    pub(in super::super) async fn apply(
        &mut self,
        target: &str,
        client: &Client,
        operations: Vec<Operation>,
    ) -> Result<(), TargetError> {
        let mut rest = operations;
        while let Some(run) = next_run(&mut rest) {
            let at_once = match &run {
                Run::Many(next) => self.at_once(target, client, next).await?,
                Run::OneByOne(_) => false,
            };
            let next = run.into_operations();
            if at_once || self.in_order(target, client, &next).await? {
                continue;
            }
            let Self { tables, on_conflict, met, .. } = self;
            let on_conflict = *on_conflict;
            Careful { tables, target, client, on_conflict, met }.apply(next).await?;
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
        run(target, client, "set a savepoint", self.savepoint()).await?;
        match self.run(target, client, steps).await {
            Ok(()) => {
                tracing::debug!(changes, statements, "applied by their net effect");
                Ok(true)
            }
            Err(NotAtOnce::Refused(error)) => {
                self.broken = true;
                Err(error_of(target, "copy rows", &error))
            }
            Err(NotAtOnce::Unmet(Unmet::Failed(error))) if client.is_closed() => {
                Err(error_of(target, "apply changes", &error))
            }
            Err(failed) => {
                tracing::debug!(%failed, changes, "not applied by their net effect");
                self.go_back(target, client).await?;
                Ok(false)
            }
        }
    }

    /// Whether they were applied; otherwise it is as if nothing had been done.
    async fn in_order(
        &mut self,
        target: &str,
        client: &Client,
        operations: &[Operation],
    ) -> Result<bool, TargetError> {
        if operations.iter().any(|operation| operation.len() >= LARGE_BYTES) {
            return Ok(false);
        }
        // Tables that are missing are made outside of what may be undone.
        for relation in operations.iter().flat_map(|operation| operation.change.relations()) {
            self.tables.binding(target, client, relation).await?;
        }
        // The rows do not wait for its answer.
        let savepoint = run(target, client, "set a savepoint", self.savepoint());
        let rows = apply_rows(&mut self.tables, target, client, operations);
        let (set, applied) = join(savepoint, rows).await;
        set?;
        match applied {
            Ok(()) => Ok(true),
            Err(NotInOrder::Unmet(Unmet::Failed(error))) if client.is_closed() => {
                Err(error_of(target, "apply changes", &error))
            }
            Err(failed) => {
                tracing::debug!(%failed, changes = operations.len(), "not applied in order");
                self.go_back(target, client).await?;
                Ok(false)
            }
        }
    }

    /// What sets a savepoint. The one before goes with the same statement, and the last with the transaction.
    fn savepoint(&mut self) -> &'static str {
        if std::mem::replace(&mut self.savepoint, true) {
            "RELEASE SAVEPOINT tailwater; SAVEPOINT tailwater"
        } else {
            "SAVEPOINT tailwater"
        }
    }

    async fn go_back(&self, target: &str, client: &Client) -> Result<(), TargetError> {
        let sql = "ROLLBACK TO SAVEPOINT tailwater";
        run(target, client, "go back to a savepoint", sql).await
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
                let binding = self.tables.binding(target, client, relation).await?;
                if !binding.takes_sets {
                    return Ok(None);
                }
                bindings.insert(address(relation), binding);
            }
        }
        Ok(Some(bindings))
    }

    /// What was made is on its way while the next is made. Nothing else is asked of the server meanwhile: its
    /// answer would wait behind those that are not taken.
    async fn run(
        &mut self,
        target: &str,
        client: &Client,
        steps: Vec<Step<'_, '_>>,
    ) -> Result<(), NotAtOnce> {
        let mut prepared = Vec::with_capacity(steps.len());
        for step in steps {
            prepared.push(self.prepare(target, client, step).await?);
        }
        let mut answers = FuturesOrdered::new();
        for step in prepared {
            let ready = match step {
                Prepared::Row(ready) => ready,
                Prepared::Set(statement, set) => {
                    Ready { statement, params: set.params()?, rows: Some(set.len()) }
                }
                Prepared::Copy(statement, new) => {
                    let text = new.text()?;
                    // The client does not survive a COPY that is refused before it began, as in a transaction
                    // that failed.
                    while let Some(answer) = answers.next().await {
                        answer?;
                    }
                    copy(client, &statement, &new, text).await?;
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

    async fn prepare<'n, 'a>(
        &mut self,
        target: &str,
        client: &Client,
        step: Step<'n, 'a>,
    ) -> Result<Prepared<'n, 'a>, NotAtOnce> {
        Ok(match step {
            Step::Row { relation, operation } => {
                let tables = &mut self.tables;
                Prepared::Row(ready_row(tables, target, client, &relation, &operation).await?)
            }
            Step::Set(set) => {
                let (relation, shape) = (&set.binding.relation, set.kind.shape());
                let sql = || set.kind.sql(&set.binding);
                let statement = self.tables.statement(client, relation, &shape, sql).await;
                Prepared::Set(statement.map_err(Unmet::Failed)?, set)
            }
            Step::Copy(new) => {
                let (relation, sql) = (&new.binding.relation, || copy_sql(&new.binding));
                let statement = self.tables.statement(client, relation, COPY_SHAPE, sql).await;
                Prepared::Copy(statement.map_err(Unmet::Failed)?, new)
            }
        })
    }
}

/// A step with its statement.
enum Prepared<'n, 'a> {
    Row(Ready),
    Set(Statement, Set<'n, 'a>),
    Copy(Statement, NewRows<'n, 'a>),
}

async fn copy(
    client: &Client,
    statement: &Statement,
    new: &NewRows<'_, '_>,
    text: Bytes,
) -> Result<(), NotAtOnce> {
    let sink = client.copy_in(statement).await.map_err(NotAtOnce::Refused)?;
    let mut sink = pin!(sink);
    let sent = sink.send(text).await;
    // The server's reason comes with the end.
    let found = sink.finish().await.map_err(Unmet::Failed)?;
    sent.map_err(Unmet::Failed)?;
    let expected = new.len();
    if found == expected { Ok(()) } else { Err(Unmet::Rows { expected, found }.into()) }
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
