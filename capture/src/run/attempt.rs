use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wire::{CaptureState, Facts};

use super::{board::Board, error::RunError, first, resume, session};
use crate::{
    append::Relay,
    begin::{SlotFacts, check_slot},
    settings::Settings,
    source::SqlSession,
    walsender::Walsender,
};

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

/// Connects, and does what is to be done: the first copy, or following the stream.
pub(super) async fn attempt(context: &Context<'_>) -> Result<Ended, RunError> {
    let Context { settings, board, stop, .. } = context;
    board.state(CaptureState::Starting, None);
    let master = tokio::select! {
        master = connect(settings) => master?,
        () = stop.cancelled() => return Ok(Ended::Stopped),
    };
    match SlotFacts::read(&master.sql, &settings.slot).await? {
        None => first::begin(context, master).await,
        Some(slot) => {
            check_slot(&slot, &master.facts).map_err(crate::begin::BeginError::from)?;
            resume::resume(context, master).await
        }
    }
}

async fn connect(settings: &Settings) -> Result<Master, RunError> {
    let sql = settings.source.connect_sql().await?;
    let mut walsender = Walsender::connect(&settings.source).await?;
    let identity = walsender.identify_system().await?;
    let facts = session::facts(&sql, &identity, &settings.slot).await?;
    Ok(Master { sql, walsender, facts })
}
