use std::sync::Arc;

use wire::{Change, Relation};

use crate::target::Operation;

/// One TRUNCATE of several tables.
#[derive(Debug)]
pub(super) struct Truncate {
    pub(super) relations: Vec<Arc<Relation>>,
    cascade: bool,
    restart_identity: bool,
}

/// Joins the truncates that `operations` begins with, as far as they were one statement: capture
/// splits a statement by channel, and tables that refer to each other can only be truncated together.
/// Gives how many operations that are.
pub(super) fn truncate_sql(operations: &[Operation]) -> (Truncate, usize) {
    let mut joined = Truncate { relations: Vec::new(), cascade: false, restart_identity: false };
    let mut used = 0;
    let first = operations.first().map(|operation| operation.lsn);
    for operation in operations {
        let Change::Truncate { relations, cascade, restart_identity } = &operation.change else {
            break;
        };
        let same = (joined.cascade, joined.restart_identity) == (*cascade, *restart_identity);
        if used > 0 && (!same || Some(operation.lsn) != first) {
            break;
        }
        joined.cascade = *cascade;
        joined.restart_identity = *restart_identity;
        joined.relations.extend(relations.iter().cloned());
        used += 1;
    }
    (joined, used.max(1))
}

impl Truncate {
    /// The statement over the target's tables, in the order of `relations`.
    pub(super) fn sql(&self, tables: &[String]) -> String {
        format!(
            "TRUNCATE {}{}{}",
            tables.join(", "),
            if self.restart_identity { " RESTART IDENTITY" } else { "" },
            if self.cascade { " CASCADE" } else { "" }
        )
    }
}
