//! PostgreSQL as a target.
//!
//! `connect` reaches the server, `session` pins its settings, `create` makes what is missing, `load` is
//! the first load, `apply` turns changes into statements, `alter` does what was done to tables,
//! `verify` compares rows with a snapshot's, `guard` refuses other writers, `conflicts` and `quarantine` keep what
//! was otherwise than at the source, `database` is the target itself.

mod alter;
mod apply;
mod catalog;
mod comparing;
mod conflicts;
mod connect;
mod create;
mod database;
mod guard;
mod known;
mod load;
mod param;
mod place;
mod position_row;
mod quarantine;
mod quote;
mod seen;
mod session;
mod verify;

pub use connect::Server;
pub use database::PostgresTarget;
