//! Schema changes: what was done to a table on the master is done to the target's table, in the target
//! transaction of the rows around it. What is to be done is the difference between the master's two
//! states of the table, applied to what the target's table really is (`names`, `columns`, `keys`,
//! `types`: pure); `perform` looks it up and does it.

mod act;
mod columns;
mod drops;
mod found;
mod keys;
mod labels;
mod names;
mod perform;
mod refusal;
mod reshape;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod user_types;

pub(super) use labels::add_labels;
pub(super) use perform::Alterations;
pub(super) use reshape::{refuse_views, retyped, to_take, widen, widen_types};
