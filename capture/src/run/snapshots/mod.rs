//! Later snapshots: taken beside the stream, by a task of their own.
//!
//! ```text
//! task      runs as long as the stream; asks it what it needs to know
//! wanted    when one is due, or the relay asks
//! take      one snapshot: slot, copy, list
//! ```

mod ask;
mod error;
mod job;
mod take;
mod task;
mod wanted;

pub(super) use self::{job::SnapshotJob, task::Snapshots};
