//! Changes to statements, and their running. [`Apply`] is the only way in.

mod batch;
mod bind;
mod plan;
mod rows;
mod write;

pub(super) use batch::Apply;
pub(super) use plan::check_plan;
pub(super) use write::all_of;
