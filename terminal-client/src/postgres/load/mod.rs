//! Loads: what is missing is made, rows come part by part, keys and indexes at the end. A first load
//! writes to the tables themselves, a reload to shadow tables, whose rows go over at its end.

mod count;
mod discard;
mod empty;
mod exchange;
mod finish;
mod record;
mod rows;
mod shadow;
mod tables;

use std::pin::Pin;

use bytes::Bytes;
use tokio_postgres::CopyInSink;

pub(super) use self::{
    discard::discard,
    empty::{empty, has_own_rows},
    finish::finish,
    record::unfinished,
    tables::{begin, begin_reload},
};
use super::place::Place;
use crate::target::LoadPlan;

/// A load, while it is under way.
#[derive(Default)]
pub(super) struct Load {
    plan: LoadPlan,
    copy: Option<(String, Pin<Box<CopyInSink<Bytes>>>)>,
    /// Whether a transaction is open.
    open: bool,
}
