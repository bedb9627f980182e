//! Reading the log: a pull is answered from the ring, else from the tail, else with closed ranges.

mod behind;
mod channels;
mod error;
mod history;
mod plan;
mod row;
mod stream;

pub(super) use behind::{Lacking, lacking};
pub(crate) use channels::Channels;
pub(crate) use error::ReadError;
pub(super) use history::commit_after;
pub(crate) use plan::{Planned, Pull};
pub(super) use plan::{plan, plan_in_memory};
pub(crate) use stream::SliceReader;
