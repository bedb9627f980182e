//! The client against scripted relays over real sockets: raw bytes, cut where the script says. No
//! test depends on how long anything takes.

mod ahead;
mod failing_over;
pub(crate) mod fake;
mod objects;
mod pulling;
mod rate;
mod requests;
mod room;
mod rows;
pub(crate) mod samples;
mod snapshots;
