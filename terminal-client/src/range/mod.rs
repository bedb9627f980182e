//! From what a relay gave (slices, objects) to transactions in order. Pure: no network, no target.
//!
//! A range is proved first ([`verify()`]: hashes, order, contiguity), then read ([`RangeReader`]), so
//! that nothing of a damaged or foreign range is ever applied.

mod closed;
mod cursor;
mod error;
mod object_file;
mod payload;
mod reader;
mod relations;
mod schema_changes;
#[cfg(test)]
mod tests;
mod verify;

pub use closed::{ChannelFiles, Range, RangeChannel};
pub use error::{Malformed, Place, RangeError};
pub use object_file::{FileChunks, ObjectFile};
pub use payload::Payload;
pub use reader::{Event, RangeReader};
pub use relations::Relations;
pub use schema_changes::{Alters, is_schema_change, schema_change_text};
pub use verify::verify;
