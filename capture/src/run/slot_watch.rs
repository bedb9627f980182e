//! Where the master is, and how the slot is: looked at wherever capture stands, noted on the board.

use std::{convert::Infallible, time::Duration};

use tokio::time::{MissedTickBehavior, interval};
use wire::Lsn;

use super::board::Board;
use crate::{
    begin::SlotFacts,
    explain,
    settings::Settings,
    source::{Source, SqlError, SqlSession, answer},
};

pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks at the slot for as long as it is polled: beside work that may take long while the slot is there
/// already.
pub(super) async fn watch_slot(settings: &Settings, board: &Board) -> Infallible {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sql = None;
    loop {
        looks.tick().await;
        let look = async {
            let sql = connected(&mut sql, &settings.source).await?;
            look_at_slot(sql, &settings.slot, board).await
        };
        if let Err(error) = look.await {
            // The work itself shows whether the master is there.
            tracing::debug!("{}", explain::chain(&error));
            sql = None;
        }
    }
}

/// A connection that is opened anew where the last one failed.
pub(super) async fn connected<'a>(
    sql: &'a mut Option<SqlSession>,
    source: &Source,
) -> Result<&'a SqlSession, SqlError> {
    match sql {
        Some(sql) => Ok(sql),
        none => Ok(none.insert(source.connect_sql().await?)),
    }
}

/// Looks where the master is and how the slot is, and notes both.
pub(super) async fn look_at_slot(
    sql: &SqlSession,
    slot: &str,
    board: &Board,
) -> Result<(Lsn, Option<SlotFacts>), SqlError> {
    let position = position(sql).await?;
    let slot = SlotFacts::read(sql, slot).await?;
    board.master(position, slot.as_ref());
    Ok((position, slot))
}

/// How far the master's WAL is flushed: what the stream can have.
pub(crate) async fn position(sql: &SqlSession) -> Result<Lsn, SqlError> {
    let row =
        answer(sql.query_one("SELECT pg_catalog.pg_current_wal_flush_lsn()::text", &[])).await?;
    Ok(row.get::<_, &str>(0).parse().unwrap_or(Lsn::ZERO))
}
