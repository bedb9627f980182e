//! Who takes from this relay and who feeds it, as last heard of; and how far behind each is.
//!
//! ```text
//! roster.rs     Fleet: the terminals and the capture of one source
//! terminal.rs   one terminal: its last word, its lag and state
//! capture.rs    the capture: its last word, its state
//! commits.rs    which positions committed when, thinned: a position becomes an age
//! master.rs     which positions the master was seen at, and when
//! clock.rs      now: a parameter everywhere, so that tests make their own
//! limits.rs     from when on one counts as behind or offline
//! ```
//!
//! No I/O and no clock of its own. What is kept over a restart are the records of terminals and
//! capture; what committed before that is looked up in the log.

mod capture;
mod clock;
mod commits;
mod limits;
mod master;
mod roster;
mod terminal;
#[cfg(test)]
mod tests;

pub use capture::{CaptureRecord, SlotRoom};
pub use clock::{Clock, Moment};
pub use limits::FleetLimits;
pub use roster::{Fleet, FleetFull, LogFacts};
pub use terminal::TerminalRecord;
