//! The loop: a load where one is due, then ranges of the log, fetched ahead and applied, until the goal
//! is reached.

mod address;
mod applier;
mod ask;
mod begin;
mod bundle;
mod decode;
mod error;
mod held_keys;
mod load;
mod loading;
mod next;
mod noted;
mod order;
mod parts;
mod quarantine;
mod refetch;
mod runner;
mod schedule;
mod session;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod trouble;
mod until;
mod verify;
mod window;

pub use address::TargetAddress;
pub use error::PullError;
pub use next::{Does, NextRun, next_run};
pub use quarantine::{Retried, retry};
pub use runner::Outcome;
pub use schedule::{Schedule, Timing, reload, run, run_into};
pub use settings::{Bounds, Policy, Settings};
pub use verify::{CompareOptions, TableVerdict, Verdict, Verified, verify};
pub use window::{Window, WindowError};
