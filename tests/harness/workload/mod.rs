//! Work for the master: random transactions from a seed, and pgbench.

mod pgbench;
mod plan;
mod runner;
mod statement;
#[cfg(test)]
mod tests;

pub use pgbench::{Pgbench, PgbenchRun};
pub use plan::{Plan, Step};
pub use runner::Workload;
