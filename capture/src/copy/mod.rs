//! A copy: the tables' definitions and all their rows, as of a slot's position.

pub(crate) mod catalog;
mod definitions;
mod error;
mod hold;
mod packer;
mod progress;
mod rows;
mod sequences;
mod snapshot;
mod tables;
mod user_types;

pub use self::{
    definitions::read as definitions,
    error::CopyError,
    hold::Hold,
    packer::{Packed, RowPacker},
    sequences::sequences,
    snapshot::{CopyChannels, CopyPlan, gather, post},
};
