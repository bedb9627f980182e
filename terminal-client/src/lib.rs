//! A terminal: pulls what its database lacks from a relay and applies it.
//!
//! The way of the data, and where each part lives:
//!
//! ```text
//! fetch     HTTP of the relay: slices, manifests, objects into the spool; retries, next relay
//! range     proves ranges against the own position, merges channels back into transactions (pure)
//! target    what a target database must do; positions, operations, errors
//! net       what a run of changes comes to, row by row of the source (pure)
//! postgres  the PostgreSQL target
//! sqlite    the SQLite target
//! pull      the loop: first load, ranges, commits, schedules, reports
//! chance    what keeps many terminals from coming in step
//! cli       flags, configuration file, exit codes, status, tail, what verify says
//! ```

mod chance;
pub mod cli;
pub mod fetch;
pub mod net;
pub mod position;
pub mod postgres;
pub mod progress;
pub mod pull;
pub mod range;
pub mod sqlite;
pub mod target;
