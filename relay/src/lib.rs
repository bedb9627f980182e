//! The relay: keeps the log of captured changes and serves it to terminals over HTTP.
//!
//! ```text
//! log/         the log of one source: tail, closed ranges, objects; no HTTP
//! access/      who may do what: tokens, roles, signed URLs
//! fleet/       terminals and captures as last heard of, and how far behind they are
//! requests.rs  what is wanted of a source's capture
//! sources.rs   the sources of a data directory
//! server/      the HTTP interface of docs/PROTOCOL.md
//! cli/         the command line
//! ```

pub mod access;
pub mod cli;
#[cfg(test)]
mod feed;
pub mod fleet;
mod log;
mod requests;
mod server;
mod sources;

pub use log::{LogSettings, StoreError};
pub use server::{App, OpenError, ServerSettings, serve};
