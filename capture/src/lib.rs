//! Capture: tails one PostgreSQL master's logical replication stream and appends it to a relay.
//!
//! [`source`] knows the master and how to log in, [`walsender`] speaks the streaming replication
//! protocol, [`pgoutput`] decodes what comes.

pub mod pgoutput;
pub mod source;
pub mod walsender;
