//! The HTTP interface of `docs/PROTOCOL.md`.
//!
//! ```text
//! serve.rs    accepts, drains            router.rs   which path is whose
//! access.rs   who may what               problem.rs  errors as answers
//! ingest/     capture's side             deliver/    a terminal's side         ops/   everyone's
//! ```

mod access;
mod app;
mod body;
mod deliver;
mod ingest;
mod metrics;
mod openapi;
mod ops;
mod params;
mod problem;
mod router;
mod serve;
mod settings;
#[cfg(test)]
mod tests;
mod timed;
mod verified;
mod wait;

pub use app::{App, OpenError};
pub use serve::serve;
pub use settings::ServerSettings;
