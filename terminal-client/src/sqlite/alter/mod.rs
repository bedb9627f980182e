//! Schema changes: what was done to a table on the master is done to the file's table, in the transaction
//! of the rows around it. What is to be done is the difference between the master's two states of the
//! table, applied to what the file's table really is (`names`, `columns`: pure); `perform` looks it up and
//! does it.

mod act;
mod altering;
mod columns;
mod extra;
mod names;
mod perform;
mod rebuild;
mod reshape;
mod texts;
mod views;

pub(super) use perform::alter;
pub(super) use reshape::reshape;
