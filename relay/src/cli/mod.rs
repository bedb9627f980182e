//! The command line of `tailwater-relay`.
//!
//! ```text
//! run.rs       arguments in, exit code out
//! args.rs      the commands; serve_args.rs: the settings of `serve`
//! layers.rs    command line over environment over file over defaults
//! serve.rs     the relay itself
//! token.rs     token add, list, revoke: on the data directory
//! status.rs    status: over HTTP, as a table (report.rs) or JSON
//! terminal.rs  terminal list, forget: over HTTP
//! client.rs    HTTP to a relay
//! quantity.rs  sizes and times as people write and read them
//! grid.rs      aligned columns
//! failure.rs   what can go wrong, and the exit code of each
//! ```

mod args;
mod client;
mod data_dir;
mod failure;
mod grid;
mod layers;
mod logging;
mod output;
mod quantity;
mod report;
mod run;
mod serve;
mod serve_args;
mod signals;
mod status;
mod terminal;
mod token;

pub use run::run;
