//! A copy: the tables' definitions and all their rows, as of a slot's position.
//!
//! ```text
//! hold      keeps the tables as they are
//! readers   connections in one snapshot
//! pieces    how tables are cut for them
//! rows      what one reader does
//! packer    rows into objects
//! snapshot  all of it: objects to the relay, and their list
//! ```

pub(crate) mod catalog;
mod definitions;
mod error;
mod hold;
mod locks;
mod packer;
mod pieces;
mod progress;
mod readers;
mod rows;
mod sequences;
mod snapshot;
mod tables;
mod user_types;

pub use self::{
    definitions::read as definitions,
    error::CopyError,
    hold::Hold,
    readers::Readers,
    sequences::sequences,
    snapshot::{CopyChannels, CopyPlan, gather, post},
};
