//! What a run of changes comes to, row by row of the source. Pure; both targets apply it.
//!
//! A row that was changed ten times is changed once, one that came and went leaves nothing. The three kinds of
//! a table are to be applied in this order: deletes, updates, inserts; then values that one row gave up are free
//! for the next.

mod change;
mod effect;
mod identity;
mod keyed;
mod row;
mod run;
mod whole;

#[cfg(test)]
mod tests;

pub use effect::{NetTable, NetUpdate, net_effect};
pub use identity::{Identity, key_bytes};
pub use row::{Irregular, Row};
pub use run::{Run, next_run};
