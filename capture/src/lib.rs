//! Capture: tails one PostgreSQL master's logical replication stream and appends it to a relay.
//!
//! ```text
//! cli         flags, environment, configuration file; exit codes
//! run         one short loop drives it all, and begins again where a connection broke
//! begin       what the master must have; publication, slot, the rules of going on
//! copy        copies: definitions and rows as of a slot's position
//! ddl         event triggers that record schema changes, where the user lets us install them
//! append      the relay's HTTP interface, and the pipeline of uploads and appends
//! ledger      what the slot may be told (pure)
//! assemble    messages become transactions, transactions become slices (pure)
//! pgoutput    decoder of the output plugin (pure)
//! walsender   client of the streaming replication protocol
//! source      the master: where it is, how to log in, what it says when it refuses
//! ```

pub mod append;
pub mod assemble;
pub mod begin;
pub mod channels;
pub mod cli;
pub mod copy;
pub mod ddl;
pub mod explain;
pub mod ledger;
pub mod memory;
pub mod pgoutput;
pub mod run;
pub mod settings;
pub mod source;
pub mod walsender;
