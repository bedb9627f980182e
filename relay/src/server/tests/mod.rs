//! The interface over real sockets, with real bytes.

mod basics;
mod behind;
mod bounds;
mod damage;
mod fences;
mod objects;
mod pulls;
pub(super) mod relay;
mod reports;
mod requests;
mod snapshots;
mod succession;
mod tokens;
