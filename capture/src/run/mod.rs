//! `run`: one short loop drives it all, and begins again where a connection broke.

mod attempt;
mod board;
mod context;
mod error;
mod first;
mod health;
mod keys;
mod lost;
mod make_slot;
mod pulse;
mod quantity;
mod report;
mod resume;
mod runner;
mod sequences;
mod session;
mod slot_watch;
mod snapshots;
mod standbys;
mod stream;
mod too_large;

pub use self::{error::RunError, runner::run};
pub(crate) use self::{
    session::{Opening, facts, open},
    slot_watch::position,
};
