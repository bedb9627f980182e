//! Sealing: slices of the tail become closed ranges, one object per channel. Any step may be the
//! last before a crash: objects are noted before they are written, and a range counts once its record
//! is durable, together with how the log stood at its end.

mod group;
mod pack;
mod thread;

pub(crate) use thread::{Sealer, SealerHandle};
