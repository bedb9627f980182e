//! The first load: tables, their rows, their indexes, all in one transaction.

mod existing;
mod rows;
mod tables;

pub(super) use rows::TableRows;
pub(super) use tables::{LoadTable, finish_table, prepare_tables};
