//! The replication client against real PostgreSQL servers.

mod certificates;
mod commands;
mod login;
mod silent;
mod speed;
mod start;
mod stream;
mod stream_faults;
mod tls;
