//! Row by row: one statement per change, many in flight. Set-based apply takes this module's place.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, stream};
use tokio_postgres::{Client, Error, Statement, error::SqlState};
use wire::{Change, Relation};

use super::{
    super::{
        connect::{error_of, words},
        create::ensure_table,
        param::Param,
    },
    binding::Binding,
    statement::{row_statement, shape},
    truncate::truncate_sql,
};
use crate::target::{Operation, TargetError};

/// Statements on their way at once.
const IN_FLIGHT: usize = 256;
/// Prepared statements kept; a table with many shapes must not fill the server's memory.
const MAX_STATEMENTS: usize = 2_000;
const MAX_BINDINGS: usize = 10_000;
/// Values are not held twice where they are larger.
const LARGE_BYTES: usize = 64 << 10;

/// Applies changes row by row. Keeps what it learned about tables and the statements prepared.
#[derive(Default)]
pub(in super::super) struct RowApply {
    /// By the relation's address, which its `Arc` keeps from being used again.
    bindings: HashMap<usize, Arc<Binding>>,
    statements: HashMap<usize, HashMap<Vec<u8>, Statement>>,
    prepared: usize,
    scratch: Vec<u8>,
}

/// A change made ready: what to run, and how many rows it must meet.
struct Ready {
    statement: Statement,
    params: Vec<Param>,
    rows: Option<u64>,
}

impl RowApply {
    pub(in super::super) async fn apply(
        &mut self,
        target: &str,
        client: &Client,
        mut operations: Vec<Operation>,
    ) -> Result<(), TargetError> {
        let mut ready = Vec::with_capacity(operations.len());
        let mut at = 0;
        while let Some(operation) = operations.get(at) {
            let rest = operations.get(at..).unwrap_or_default();
            let (next, used) = self.ready(target, client, operation, rest).await?;
            ready.extend(next.map(|next| (at, next)));
            at += used;
        }
        // The statements have the values now; here they are only for messages.
        operations.iter_mut().filter(|o| o.len() >= LARGE_BYTES).for_each(Operation::shorten);
        let mut answers = stream::iter(ready)
            .map(|(at, Ready { statement, params, rows })| async move {
                (at, rows, client.execute_raw(&statement, params).await)
            })
            .buffered(IN_FLIGHT);
        while let Some((at, expected, answer)) = answers.next().await {
            let Some(operation) = operations.get(at) else { continue };
            match answer {
                Ok(found) if expected.is_none_or(|expected| expected == found) => {}
                Ok(found) => return Err(wrong_count(target, operation, found)),
                Err(error) => return Err(failed(target, operation, &error)),
            }
        }
        Ok(())
    }

    /// What to run for the first of `rest`, and how many of `rest` that covers.
    async fn ready(
        &mut self,
        target: &str,
        client: &Client,
        operation: &Operation,
        rest: &[Operation],
    ) -> Result<(Option<Ready>, usize), TargetError> {
        let relation = match &operation.change {
            Change::Message { .. } => return Ok((None, 1)),
            Change::Truncate { .. } => {
                let (sql, used) = self.truncate(target, client, rest).await?;
                let statement = client.prepare(&sql).await;
                let statement = statement.map_err(|error| failed(target, operation, &error))?;
                return Ok((Some(Ready { statement, params: Vec::new(), rows: None }), used));
            }
            Change::Insert { relation, .. }
            | Change::Update { relation, .. }
            | Change::Delete { relation, .. } => relation,
        };
        let binding = self.binding(target, client, relation).await?;
        let mut key = std::mem::take(&mut self.scratch);
        shape(&operation.change, &binding, &mut key);
        let known = self.statements.get(&address(relation)).and_then(|by| by.get(&key)).cloned();
        let made = row_statement(&operation.change, &binding, known.is_some())
            .map_err(|why| unfit(target, operation, &why.to_string()))?;
        let statement = match known {
            Some(statement) => statement,
            None => {
                let statement = client.prepare(&made.sql).await;
                let statement = statement.map_err(|error| failed(target, operation, &error))?;
                self.keep(relation, key.clone(), statement.clone());
                statement
            }
        };
        self.scratch = key;
        Ok((Some(Ready { statement, params: made.params, rows: Some(1) }), 1))
    }

    fn keep(&mut self, relation: &Arc<Relation>, shape: Vec<u8>, statement: Statement) {
        if self.prepared >= MAX_STATEMENTS {
            self.statements.clear();
            self.prepared = 0;
        }
        self.prepared += 1;
        self.statements.entry(address(relation)).or_default().insert(shape, statement);
    }

    async fn truncate(
        &mut self,
        target: &str,
        client: &Client,
        rest: &[Operation],
    ) -> Result<(String, usize), TargetError> {
        let (truncate, used) = truncate_sql(rest);
        let mut tables = Vec::new();
        for relation in &truncate.relations {
            tables.push(self.binding(target, client, relation).await?.table.clone());
        }
        Ok((truncate.sql(&tables), used))
    }

    async fn binding(
        &mut self,
        target: &str,
        client: &Client,
        relation: &Arc<Relation>,
    ) -> Result<Arc<Binding>, TargetError> {
        if let Some(binding) = self.bindings.get(&address(relation)) {
            return Ok(binding.clone());
        }
        if self.bindings.len() >= MAX_BINDINGS {
            *self = Self::default();
        }
        let table = ensure_table(target, client, relation).await?;
        let binding = Arc::new(Binding::new(target, relation, &table)?);
        self.bindings.insert(address(&binding.relation), binding.clone());
        Ok(binding)
    }
}

fn address(relation: &Arc<Relation>) -> usize {
    Arc::as_ptr(relation).addr()
}

const LOAD_ANEW: &str = "or run `tailwater-terminal reload`, which loads the tables anew";

fn unfit(target: &str, operation: &Operation, why: &str) -> TargetError {
    let advice = "Give the table a primary key or another replica identity at the source".into();
    TargetError::unapplied(target, operation, why.to_owned(), advice)
}

fn wrong_count(target: &str, operation: &Operation, found: u64) -> TargetError {
    let why = match found {
        0 => "the row is not there".to_owned(),
        more => format!("it meets {more} rows instead of one"),
    };
    let advice = format!(
        "The table was probably changed at the target itself: put the row back as the source had it, {LOAD_ANEW}"
    );
    TargetError::unapplied(target, operation, why, advice)
}

fn failed(target: &str, operation: &Operation, error: &Error) -> TargetError {
    let doing = format!("apply a change of table {}", operation.tables());
    let Some(db) = error.as_db_error() else { return error_of(target, &doing, error) };
    let advice = match db.code() {
        code if *code == SqlState::UNIQUE_VIOLATION => format!(
            "A row with that key is there already, probably written at the target itself: remove it, {LOAD_ANEW}"
        ),
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
