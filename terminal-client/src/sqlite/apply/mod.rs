//! Changes to statements, and their running, row by row. [`RowApply`] is the only way in, so that
//! another way to apply can stand beside it.

mod bind;
mod plan;
mod rows;
mod write;

pub(super) use plan::check_plan;
pub(super) use rows::RowApply;
