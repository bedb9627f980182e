//! What is done to tables on a master is done to a target's: with the master's own states before and
//! after each statement, and without capture and relay between.

mod postgres;
mod sqlite;
pub(crate) mod stage;
mod statements;
