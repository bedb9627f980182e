//! Changes of the user types that a table uses, matched by the OID that they have on the master.

mod act;
mod found;
mod plan;

pub(super) use act::TypeAct;
#[cfg(test)]
pub(super) use found::FoundKind;
pub(super) use found::{FoundType, find};
pub(super) use plan::{renamed, type_acts};
