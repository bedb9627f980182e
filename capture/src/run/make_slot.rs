use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::error::RunError;
use crate::{
    begin::BeginError,
    source::{SqlSession, answer},
    walsender::{CreatedSlot, WalsenderError},
};

/// How often it is said whom the slot's making waits for.
const SAY_EVERY: Duration = Duration::from_secs(3);

/// Lets `backend` make a slot, saying whom that waits for. Given up after `within`, or with `stop`: then the
/// half-made slot goes.
pub(super) async fn make_slot(
    create: impl Future<Output = Result<CreatedSlot, WalsenderError>>,
    backend: u32,
    sql: &SqlSession,
    within: Duration,
    stop: &CancellationToken,
) -> Result<CreatedSlot, RunError> {
    let began = Instant::now();
    let mut whom = String::new();
    let created = {
        let mut create = std::pin::pin!(create);
        loop {
            tokio::select! {
                created = &mut create => break Some(created),
                () = stop.cancelled() => break None,
                () = sleep(SAY_EVERY) => {
                    whom = blockers(sql, backend).await?;
                    tracing::info!("making the replication slot waits for transactions that are open: {whom}");
                }
            }
            if began.elapsed() >= within {
                break None;
            }
        }
    };
    match created {
        Some(created) => Ok(created?),
        None => {
            // The half-made slot goes with its backend, which waits in a lock and does not notice that we left.
            let end = "SELECT pg_catalog.pg_terminate_backend($1)";
            let backend = i32::try_from(backend).unwrap_or(0);
            let _ = answer(sql.query(end, &[&backend])).await;
            Err(BeginError::SlotWait { after: began.elapsed(), whom }.into())
        }
    }
}

async fn blockers(sql: &SqlSession, backend: u32) -> Result<String, RunError> {
    let query = "
        SELECT coalesce(string_agg(pg_catalog.format('PID %s (%s, %s, open since %s, %s): %s', a.pid, a.usename,
                   coalesce(nullif(a.application_name, ''), 'unnamed application'), a.xact_start::timestamp(0), a.state,
                   left(pg_catalog.regexp_replace(a.query, '\\s+', ' ', 'g'), 60)), '; '),
                 (SELECT 'prepared transactions ' || string_agg(gid, ', ') FROM pg_catalog.pg_prepared_xacts),
                 'not known')
        FROM pg_catalog.pg_stat_activity a WHERE a.pid = ANY(pg_catalog.pg_blocking_pids($1))";
    let backend = i32::try_from(backend).unwrap_or(0);
    let row = answer(sql.query_one(query, &[&backend])).await?;
    Ok(row.get(0))
}
