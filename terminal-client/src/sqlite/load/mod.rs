//! Loads: tables, their rows part by part, their indexes. A reload writes to shadow tables, whose rows
//! go over at its end.

mod count;
mod discard;
mod empty;
mod exchange;
mod finish;
mod record;
mod rows;
mod shadow;
mod tables;

pub(super) use discard::discard;
pub(super) use empty::{empty, has_own_rows};
pub(super) use finish::{Ending, finish};
pub(super) use record::{CREATE_LOAD, advance, forsake, unfinished, write};
pub(super) use rows::TableRows;
pub(super) use tables::{LoadTable, columns_of, made, prepare_tables, tables_of};
