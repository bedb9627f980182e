//! Every error that a user can reach says what happened, to what, and what to do; with the exit
//! code that DESIGN gives it, and without a secret.
//!
//! Refusals because two ends do not belong together are in `position::other_history` and
//! `position::slot`, tables without a key in `safety`.

mod at_the_master;
mod at_the_relay;
mod at_the_terminal;
mod check;
mod command_line;
mod disk_full;
