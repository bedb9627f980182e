//! The first load: what is missing is made, rows come part by part, keys and indexes at the end.

mod discard;
mod finish;
mod record;
mod rows;
mod tables;

use std::pin::Pin;

use bytes::Bytes;
use tokio_postgres::{Client, CopyInSink};
use wire::SourceName;

pub(super) use self::{discard::discard, finish::finish, record::unfinished, tables::begin};
use crate::target::LoadPlan;

/// The first load, while it is under way.
#[derive(Default)]
pub(super) struct Load {
    plan: LoadPlan,
    copy: Option<(String, Pin<Box<CopyInSink<Bytes>>>)>,
    /// Whether a transaction is open.
    open: bool,
}

/// Where a load is, for its statements and their errors.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) target: &'a str,
    pub(super) client: &'a Client,
    pub(super) source: &'a SourceName,
}
