//! The command line: flags, environment and configuration file become settings; results become exit codes.

mod adopt;
mod args;
mod check;
mod config;
mod duration;
mod failure;
mod main;
mod remove;
mod settings;
mod signals;
mod snapshot;

pub use self::main::run_cli;
