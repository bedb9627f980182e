//! A terminal: pulls what its database lacks from a relay and applies it.
//!
//! A program embeds one by [`Terminal`]: into PostgreSQL or SQLite ([`TargetAddress`]), or into a [`Target`] of
//! its own.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let terminal = terminal_client::Terminal::new("http://127.0.0.1:7070", "orders", "till-7")?;
//! terminal.pull(&"sqlite:shop.db".parse()?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What stands on this page and in [`target`] is for others. The rest is open for the program `tailwater-terminal`
//! and its tests, and may change at any time. The way of the data, and where each part lives:
//!
//! ```text
//! terminal  a terminal inside another program
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
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod fetch;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod position;
#[doc(hidden)]
pub mod postgres;
#[doc(hidden)]
pub mod progress;
#[doc(hidden)]
pub mod pull;
#[doc(hidden)]
pub mod range;
#[doc(hidden)]
pub mod sqlite;
pub mod target;
mod terminal;

/// Bytes of rows, shared and not copied.
pub use bytes::Bytes;
pub use fetch::{AddressError, FetchError, Refusal, Token, TokenError};
pub use position::Position;
pub use pull::{Bounds, Outcome, Policy, PullError, TargetAddress};
pub use range::RangeError;
pub use target::{Target, TargetError};
pub use terminal::{SetupError, Terminal};
pub use tokio_util::sync::CancellationToken;
/// What travels: positions, names, definitions, changes and their values.
pub use wire;
