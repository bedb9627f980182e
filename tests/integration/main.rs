//! The integration tests: one binary, a module for each topic.
//!
//! They start the real binaries; `make test` builds those first.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails; clippy's own exception ends at helper functions"
)]

mod alter;
mod apply;
mod architecture;
mod big;
mod channels;
mod copying;
mod crash;

mod ddl;
mod decoding;
mod ending;
mod errors;
mod exclude;
mod faults;
mod field;
mod first_load;
mod grants;
mod guard;
mod history;
mod joining;
mod keys;
mod library;
mod loading;
mod position;
mod progress;
mod proxies;
mod publication;
mod quiet;
mod relay;
mod reload;
mod safety;
mod sequences;
mod setup;
mod slot_health;
mod snapshots;
mod status;
mod successor;
mod tail;
mod too_large;
mod tree;
mod unrecorded;
mod verify;
