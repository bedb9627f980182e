//! PostgreSQL servers of our own.

mod builder;
mod cluster;
mod database;
mod programs;
mod template;
#[cfg(test)]
mod tests;

pub use builder::ClusterBuilder;
pub use cluster::{Cluster, Shutdown};
pub use database::Database;
pub use programs::pg_bin_dir;
