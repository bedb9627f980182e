//! The program: flags, configuration file, exit codes; `pull`, `status`, `tail`.

mod args;
mod config;
mod connection;
mod duration;
mod failure;
mod logging;
mod pull;
mod run;
mod status;
mod tail;

pub use run::run;
