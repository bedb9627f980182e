//! Row by row, in the order of the source: one statement per change, many in flight. Any that does not do what it
//! should fails all of them.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio_postgres::{Client, Error, Statement, error::SqlState};
use wire::{Change, Relation};

use super::{
    super::{
        connect::{error_of, words},
        param::Param,
    },
    statement::{row_statement, shape},
    tables::Tables,
    truncate::truncate_sql,
};
use crate::target::{LOAD_ANEW, Operation, TargetError};

/// Statements on their way at once.
const IN_FLIGHT: usize = 256;
/// Values are not held twice where they are larger.
pub(super) const LARGE_BYTES: usize = 64 << 10;

/// Something made ready: what to run, and how many rows it must meet.
pub(super) struct Ready {
    pub(super) statement: Statement,
    pub(super) params: Vec<Param>,
    pub(super) rows: Option<u64>,
}

/// Applies changes one by one. None of them is large.
pub(super) async fn apply_rows(
    tables: &mut Tables,
    target: &str,
    client: &Client,
    operations: &[Operation],
) -> Result<(), NotInOrder> {
    let mut all = Vec::with_capacity(operations.len());
    let mut rest = operations;
    while let Some(operation) = rest.first() {
        let mut used = 1;
        match &operation.change {
            Change::Message { .. } => {}
            Change::Truncate { .. } => {
                let (ready, covered) = truncate(tables, target, client, operation, rest).await?;
                all.push(ready);
                used = covered;
            }
            Change::Insert { relation, .. }
            | Change::Update { relation, .. }
            | Change::Delete { relation, .. } => {
                all.push(ready_row(tables, target, client, relation, operation).await?);
            }
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    let mut answers = stream::iter(all).map(|ready| ready.run(client)).buffered(IN_FLIGHT);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    Ok(())
}

/// Why changes were not applied in order.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotInOrder {
    #[error(transparent)]
    Unmet(#[from] Unmet),
    #[error(transparent)]
    Row(#[from] TargetError),
}

/// Why a statement did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmet {
    #[error("{found} rows were met where there should be {expected}")]
    Rows { expected: u64, found: u64 },
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Ready {
    /// Runs it; it must do what it should.
    pub(super) async fn run(self, client: &Client) -> Result<(), Unmet> {
        let found = client.execute_raw(&self.statement, self.params).await?;
        match self.rows {
            Some(expected) if expected != found => Err(Unmet::Rows { expected, found }),
            _ => Ok(()),
        }
    }
}

/// What to run for a change of one row.
pub(super) async fn ready_row(
    tables: &mut Tables,
    target: &str,
    client: &Client,
    relation: &Arc<Relation>,
    operation: &Operation,
) -> Result<Ready, TargetError> {
    let binding = tables.binding(target, client, relation).await?;
    let mut key = Vec::new();
    shape(&operation.change, &binding, &mut key);
    let known = tables.known(relation, &key);
    let made = row_statement(&operation.change, &binding, known.is_some())
        .map_err(|why| unfit(target, operation, &why.to_string()))?;
    let statement = match known {
        Some(statement) => statement,
        None => {
            let statement = tables.prepare(client, relation, &key, &made.sql).await;
            statement.map_err(|error| failed(target, operation, &error))?
        }
    };
    Ok(Ready { statement, params: made.params, rows: Some(1) })
}

/// What to run for the truncates that `rest` begins with, and how many of them that covers.
pub(super) async fn truncate(
    tables: &mut Tables,
    target: &str,
    client: &Client,
    operation: &Operation,
    rest: &[Operation],
) -> Result<(Ready, usize), TargetError> {
    let (truncate, used) = truncate_sql(rest);
    let mut names = Vec::new();
    for relation in &truncate.relations {
        names.push(tables.binding(target, client, relation).await?.table.clone());
    }
    let statement = client.prepare(&truncate.sql(&names)).await;
    let statement = statement.map_err(|error| failed(target, operation, &error))?;
    Ok((Ready { statement, params: Vec::new(), rows: None }, used))
}

/// What else would be found out only at the commit; `last` is the last change before it.
pub(in super::super) async fn check_deferred(
    target: &str,
    client: &Client,
    last: &Operation,
) -> Result<(), TargetError> {
    let sql = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED";
    client.batch_execute(sql).await.map_err(|error| failed(target, last, &error))
}

pub(super) fn unfit(target: &str, operation: &Operation, why: &str) -> TargetError {
    let advice = "Give the table a primary key or another replica identity at the source".into();
    TargetError::unapplied(target, operation, why.to_owned(), advice)
}

pub(super) fn failed(target: &str, operation: &Operation, error: &Error) -> TargetError {
    let doing = format!("apply a change of table {}", operation.tables());
    let Some(db) = error.as_db_error() else { return error_of(target, &doing, error) };
    let advice = match db.code() {
        code if *code == SqlState::UNIQUE_VIOLATION => format!(
            "A row with that key is there already, probably written at the target itself: remove it, {LOAD_ANEW}"
        ),
        code if is_of_the_server(code.code()) => return error_of(target, &doing, error),
        code if code.code().starts_with("23") => {
            "The target has a constraint that the source has not: drop it, then pull again".to_owned()
        }
        code if code.code().starts_with("22") => {
            "The target's column does not take this value: give it the source's type, then pull again".to_owned()
        }
        _ => match error_of(target, &doing, error) {
            TargetError::Statement { .. } => "Remove what is in the way, then pull again".to_owned(),
            other => return other,
        },
    };
    TargetError::unapplied(target, operation, words(db), advice)
}

/// Whether the class of a SQLSTATE says that the change is not the reason: a transaction that gave way, no room, an
/// operator's word, a fault of the server.
fn is_of_the_server(code: &str) -> bool {
    ["25", "40", "53", "55", "57", "58", "XX"].iter().any(|class| code.starts_with(class))
}
