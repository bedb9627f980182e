//! Changes to statements, and their running. [`RowApply`] is the only way in, so that another way to
//! apply can stand beside it.

mod binding;
mod rows;
mod statement;
#[cfg(test)]
mod tests;
mod truncate;

pub(super) use binding::check_binding;
pub(super) use rows::RowApply;
