//! The log of one source, without HTTP.
//!
//! ```text
//! source.rs    a log: opened, asked, closed          standing.rs  how it stands, what may follow
//! writer/      the one thread that changes it        recover.rs   finding that out from the disk
//! seal/        tail into closed ranges               head.rs      what was acknowledged
//! place.rs     which folder holds the living log
//! read/        ring, tail, closed ranges             ring.rs      the newest slices in memory
//! tail.rs, records.rs, objects.rs   what an engine must do;   engine/   sled and plain files
//! ```

mod catalog;
mod closed;
mod damage;
mod engine;
mod engines;
mod error;
mod evidence;
mod growth;
mod head;
mod objects;
mod orphans;
mod place;
mod random;
mod range;
mod read;
mod records;
mod recover;
mod refusal;
mod ring;
mod seal;
mod settings;
mod shared;
mod snapshots;
mod source;
mod standing;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use catalog::{Changes, Upload, UploadKind};
pub use error::StoreError;
pub(crate) use growth::Growth;
pub(crate) use objects::{Objects, Spool};
pub(crate) use place::clear;
pub(crate) use range::ClosedRange;
pub(crate) use read::{Channels, Planned, Pull, ReadError, SliceReader};
pub(crate) use refusal::Refusal;
pub use settings::LogSettings;
pub(crate) use snapshots::MOST_SNAPSHOTS;
pub(crate) use source::Log;
pub(crate) use standing::Standing;
