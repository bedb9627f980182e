//! Loads: what is missing is made, rows come part by part, keys and indexes at the end. A first load
//! writes to the tables themselves, a reload to shadow tables, whose rows go over at its end.

mod count;
mod discard;
mod empty;
mod exchange;
mod finish;
mod keys;
mod prove;
mod record;
mod rows;
mod shadow;
mod tables;
mod writer;

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio_postgres::CopyInSink;

pub(super) use self::{
    count::only,
    discard::discard,
    empty::{empty, has_own_rows},
    exchange::refuse_acting_keys,
    finish::finish,
    record::unfinished,
    tables::{begin, begin_reload},
    writer::Writer,
};
use super::place::Place;
use crate::target::{LoadPlan, LoadPoint};

/// Why one connection loads alone.
pub(super) const ACTS: &str = "triggers and foreign keys of tables that were there act on their rows, which must come in order";

/// A load, while it is under way.
#[derive(Default)]
pub(super) struct Load {
    plan: Arc<LoadPlan>,
    /// How far it is in the database; all connections of a load share it.
    point: Arc<Mutex<LoadPoint>>,
    copy: Option<(String, Pin<Box<CopyInSink<Bytes>>>)>,
    /// Whether a transaction is open.
    open: bool,
}

impl Load {
    fn of(plan: LoadPlan, point: LoadPoint) -> Self {
        Self { plan: Arc::new(plan), point: Arc::new(Mutex::new(point)), ..Self::default() }
    }

    /// Whether what hangs on the tables that it fills may act.
    pub(super) fn acts(&self, replica_role: bool) -> bool {
        !replica_role && !self.plan.kept.is_empty()
    }

    /// The same load on another connection.
    fn beside(&self) -> Self {
        Self { plan: self.plan.clone(), point: self.point.clone(), ..Self::default() }
    }
}
