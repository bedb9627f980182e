//! The first load: tables, their rows part by part, their indexes.

mod discard;
mod existing;
mod finish;
mod record;
mod rows;
mod tables;

pub(super) use discard::discard;
pub(super) use finish::{Ending, finish};
pub(super) use record::{CREATE_LOAD, advance, forsake, unfinished, write};
pub(super) use rows::TableRows;
pub(super) use tables::{LoadTable, made, prepare_tables, tables_of};
