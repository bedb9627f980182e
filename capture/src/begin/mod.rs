//! The start: what the master must have, the publication, the slot, and the rules that decide
//! whether capture may go on with a log.

mod check;
mod error;
mod finding;
mod joining;
mod keys;
mod plan;
mod publication;
mod published;
mod rules;
mod scope;
mod slot;
mod tables;

pub use self::{
    check::check,
    error::BeginError,
    finding::Finding,
    joining::{Prepared, Telling, extend, newest_join},
    keys::{LostKey, mend_lost_keys},
    plan::{PublicationPlan, plan},
    publication::{PublicationFacts, create, drop_publication, our_publications, publication},
    published::{PublishedTable, check_excluded, published},
    rules::{Standing, Violation, check_slot, check_standing, other_slot, same_master},
    scope::CheckScope,
    slot::SlotFacts,
    tables::{Identity, TableFacts, quoted, tables},
};
