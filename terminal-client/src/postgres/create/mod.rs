//! Making schemas, types, tables, keys and indexes from definitions.

mod attempt;
mod existing;
mod finish;
mod from_relation;
mod sequences;
mod tables;
#[cfg(test)]
mod tests;
mod types;

pub(super) use attempt::{Refused, attempt, attempted, run};
pub(super) use existing::{Rows, takes};
pub(super) use finish::{analyze, make_foreign_keys, make_keys, parent_of};
pub(super) use from_relation::{column_list, ensure_table};
pub(super) use sequences::{bind_sequences, ensure_sequences, set_sequences};
pub(super) use tables::{create_defined, ensure_defined};
pub(super) use types::{ensure_types, type_sql};
