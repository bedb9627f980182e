//! The loop: first load, then ranges of the log, fetched ahead and applied, until the goal is reached.

mod applier;
mod begin;
mod bundle;
mod decode;
mod error;
mod load;
mod schedule;
mod session;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod trouble;

pub use error::PullError;
pub use schedule::{Outcome, Schedule, TargetAddress, run};
pub use settings::{Bounds, Settings};
