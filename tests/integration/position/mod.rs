//! Capture's position: never past what is durable, never past what is on its way, never on a
//! history that is not the log's. PITFALLS 1–19, 41–44 as far as capture decides them.
//!
//! Elsewhere, because the program has no flag that makes it quick: a TCP connection that is dead
//! but open (15) is `a_dead_but_open_connection_is_noticed` in `capture/tests/stream_faults.rs`.
//! Starting from IDENTIFY_SYSTEM's position (2) cannot be observed from outside where it does no
//! harm, and where it does, every test here loses rows. The exported snapshot that dies with the
//! next command (17) is `a_slot_exports_a_snapshot_until_the_next_command` in
//! `capture/tests/commands.rs`; here the first copy would fail. PITFALLS 20 is a later issue.

pub(crate) mod backup;
mod durable;
mod first_copy;
mod joint;
mod large;
mod order;
mod other_history;
mod own_cluster;
mod quiet;
mod same_bytes;
mod slot;
mod standby;
