//! The program: flags, configuration file, exit codes; `pull`, `reload`, `status`, `tail`.

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
#[cfg(test)]
mod tests;

pub use run::run;
