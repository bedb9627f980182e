use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wire::Facts;

use super::board::Board;
use crate::{append::Relay, settings::Settings, source::SqlSession, walsender::Walsender};

/// What every step of an attempt needs.
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    pub(super) relays: &'a [Arc<Relay>],
    pub(super) board: &'a Board,
    pub(super) stop: &'a CancellationToken,
}

/// How an attempt ended where nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// A step is done, the next attempt goes on from there.
    Again,
    /// It was told to stop.
    Stopped,
}

/// The connections of an attempt, and who is at the other end.
pub(super) struct Master {
    pub(super) sql: SqlSession,
    pub(super) walsender: Walsender,
    pub(super) facts: Facts,
}
