//! The way to the relay: its HTTP interface as capture uses it, and the pipeline of uploads and appends.

mod asking;
mod client;
mod cutting;
mod error;
mod patience;
mod pipeline;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;

pub use self::{
    client::{Relay, RelayAddress, RelayUrlError, Token},
    cutting::CutPolicy,
    error::{RelayError, Remedy},
    patience::Patience,
    pipeline::{Pipeline, PipelineLimits},
};
