//! Changes of the user types that a table uses, matched by the OID that they have on the master.

mod act;
mod found;
mod plan;

pub(super) use act::TypeAct;
pub(super) use found::{FoundKind, FoundType, find};
pub(super) use plan::{Names, renamed, type_acts};
