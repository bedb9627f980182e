//! How values of PostgreSQL are kept in SQLite. Pure: texts in, values out.

mod array;
mod cell;
mod convert;
mod kind;
#[cfg(test)]
mod tests;

pub(super) use cell::{Unfit, cell};
pub(super) use convert::{Conversion, conversion, literal};
pub(super) use kind::{Affinity, Kind};
