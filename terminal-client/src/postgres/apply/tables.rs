use std::{collections::HashMap, sync::Arc};

use tokio_postgres::{Client, Error, Statement};
use wire::Relation;

use super::{super::create::ensure_table, binding::Binding};
use crate::target::TargetError;

/// Prepared statements kept; a table with many shapes must not fill the server's memory.
const MAX_STATEMENTS: usize = 2_000;
const MAX_BINDINGS: usize = 10_000;

/// What was learned about tables, and the statements prepared for them.
#[derive(Default)]
pub(super) struct Tables {
    /// By the relation's address, which its `Arc` keeps from being used again.
    bindings: HashMap<usize, Arc<Binding>>,
    statements: HashMap<usize, Statements>,
    kept: usize,
}

/// A relation's statements by their shapes. They keep it, so that its address means it.
struct Statements {
    _relation: Arc<Relation>,
    by_shape: HashMap<Vec<u8>, Statement>,
}

/// By which a relation is known here: one definition is one `Arc`.
pub(super) fn address(relation: &Arc<Relation>) -> usize {
    Arc::as_ptr(relation).addr()
}

impl Tables {
    /// How a relation meets its table, which is made where it is missing.
    pub(super) async fn binding(
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

    /// The statement of a shape, if it was prepared.
    pub(super) fn known(&self, relation: &Arc<Relation>, shape: &[u8]) -> Option<Statement> {
        self.statements.get(&address(relation))?.by_shape.get(shape).cloned()
    }

    /// Prepares the statement of a shape.
    pub(super) async fn prepare(
        &mut self,
        client: &Client,
        relation: &Arc<Relation>,
        shape: &[u8],
        sql: &str,
    ) -> Result<Statement, Error> {
        let statement = client.prepare(sql).await?;
        if self.kept >= MAX_STATEMENTS {
            self.statements.clear();
            self.kept = 0;
        }
        self.kept += 1;
        let of = self.statements.entry(address(relation)).or_insert_with(|| Statements {
            _relation: relation.clone(),
            by_shape: HashMap::new(),
        });
        of.by_shape.insert(shape.to_vec(), statement.clone());
        Ok(statement)
    }

    /// The statement of a shape, prepared where it was not.
    pub(super) async fn statement(
        &mut self,
        client: &Client,
        relation: &Arc<Relation>,
        shape: &[u8],
        sql: impl FnOnce() -> String,
    ) -> Result<Statement, Error> {
        match self.known(relation, shape) {
            Some(statement) => Ok(statement),
            None => self.prepare(client, relation, shape, &sql()).await,
        }
    }
}
