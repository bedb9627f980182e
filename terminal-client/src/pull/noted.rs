use std::{collections::HashMap, sync::Arc};

use wire::{Lsn, Relation, SourceName};

use super::error::PullError;
use crate::target::{KnownTable, Named, Operation, Target, TargetError};

/// Tables kept.
const MAX_TABLES: usize = 10_000;

/// Tables of the stream that the target was told of in this run.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// As it was told of them last, by OID.
    told: HashMap<u32, Arc<Relation>>,
    /// What the target knows of the stream's tables, once it was asked.
    known: Option<HashMap<u32, KnownTable>>,
}

impl Noted {
    /// A table has another name, or is made anew: all are told of again.
    pub(super) fn forget(&mut self) {
        self.told.clear();
        self.known = None;
    }

    /// The next of the operations, up to those with a definition that the target was not told of: it is told of
    /// the first one's here, in the open transaction, behind all that came before, and stops where its table
    /// cannot take that. Not of tables that are `absent`.
    pub(super) async fn next<T: Target>(
        &mut self,
        target: &mut T,
        source: &SourceName,
        operations: &mut Vec<Operation>,
        absent: impl Fn(u32) -> bool,
    ) -> Result<Vec<Operation>, PullError> {
        if let Some(first) = operations.first() {
            let untold: Vec<Arc<Relation>> =
                first.change.relations().iter().filter(|of| !self.is_told(of)).cloned().collect();
            if !untold.is_empty() {
                self.meet(target, source, &untold, first.lsn, absent).await?;
            }
        }
        let is_told = |of: &Operation| of.change.relations().iter().all(|of| self.is_told(of));
        let behind = operations.iter().skip(1).position(|of| !is_told(of));
        let rest = behind.map(|place| operations.split_off(place + 1)).unwrap_or_default();
        Ok(std::mem::replace(operations, rest))
    }

    /// One definition is one `Arc`.
    fn is_told(&self, relation: &Arc<Relation>) -> bool {
        self.told.get(&relation.oid).is_some_and(|told| Arc::ptr_eq(told, relation))
    }

    async fn meet<T: Target>(
        &mut self,
        target: &mut T,
        source: &SourceName,
        untold: &[Arc<Relation>],
        lsn: Lsn,
        absent: impl Fn(u32) -> bool,
    ) -> Result<(), PullError> {
        let mut known = match self.known.take() {
            Some(known) => known,
            None => target.known_tables(source).await?,
        };
        for relation in untold.iter().filter(|relation| !absent(relation.oid)) {
            let now = KnownTable::of_relation(relation);
            let before = known.get(&relation.oid);
            if before != Some(&now) {
                let namesake =
                    known.iter().any(|(oid, of)| *oid != relation.oid && of.table == now.table);
                let met = target.meet(source, before, namesake, relation).await;
                met.map_err(|error| match error {
                    error @ TargetError::Table { .. } => PullError::Stopped { lsn, error },
                    error => error.into(),
                })?;
                known.insert(relation.oid, now);
            }
        }
        self.known = Some(known);
        if self.told.len() + untold.len() > MAX_TABLES {
            self.told.clear();
        }
        self.told.extend(untold.iter().map(|of| (of.oid, of.clone())));
        let named: Vec<_> =
            untold.iter().map(|of| (Named::new(&of.schema, &of.name), lsn)).collect();
        Ok(target.note_tables(source, &named).await?)
    }
}
