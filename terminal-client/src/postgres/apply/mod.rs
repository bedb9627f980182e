//! Changes to statements, and their running. [`Apply`] is the only way in.

mod array;
mod batch;
mod binding;
mod careful;
mod copy_text;
mod rows;
mod set_sql;
mod sets;
mod staging;
mod statement;
mod tables;
#[cfg(test)]
mod tests;
mod truncate;

pub(super) use batch::Apply;
pub(super) use binding::check_binding;
pub(super) use rows::check_deferred;
