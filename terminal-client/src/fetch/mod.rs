//! The relay's HTTP interface from a terminal's side (docs/PROTOCOL.md). What is handed out is whole:
//! answers that broke off, were changed on the way or come from somebody else are asked for again,
//! here or at the next relay, and never seen outside.
//!
//! ```text
//! relays        the list, which one is in use, rounds and pauses; rotation.rs decides (pure)
//! pull          one pull: slices, manifest, nothing; check.rs proves the answer (pure)
//! requests      snapshots, report, lag, sources;   behind   how far a position is behind
//! objects       one object into the spool: download, partial, whereabouts (where it is listed)
//! ranges        the objects of a closed range
//! prefetch      the ranges ahead of the one being applied
//! snapshot_objects  the objects of a snapshot, in order
//! endpoint, answer, tls   one relay over reqwest; flow counts and slows what it sends
//! ```

mod address;
mod answer;
mod behind;
mod budget;
mod check;
mod download;
mod endpoint;
mod error;
mod failure;
mod flow;
mod objects;
mod partial;
mod prefetch;
mod pull;
mod ranges;
mod relays;
mod report;
mod requests;
mod rotation;
mod settings;
mod snapshot_objects;
mod spool;
mod standing;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod token;
mod whereabouts;

pub use address::{AddressError, RelayAddress};
pub use behind::BehindQuestion;
pub use error::{FetchError, Refusal, SpoolError};
pub use failure::{Failure, FailureKind};
pub use prefetch::{Fetched, PrefetchRequest, Prefetcher};
pub use pull::{PullRequest, Pulled};
pub use relays::Relays;
pub use report::PullReport;
pub use requests::Offer;
pub use settings::FetchSettings;
pub use snapshot_objects::{SnapshotObjects, SnapshotPart};
pub use spool::Spool;
pub use standing::Standing;
pub use token::{Token, TokenError};
