//! The program: flags, configuration file, exit codes; `pull`, `reload`, `verify`, `status`, `tail`.

mod args;
mod config;
mod connection;
mod duration;
mod failure;
mod load_connections;
mod logging;
mod pull;
mod rate;
mod reload;
mod retry;
mod run;
mod settings;
mod status;
mod tail;
mod tail_filter;
#[cfg(test)]
mod tests;
mod verify;

pub use run::run;
