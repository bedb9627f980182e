use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wire::CaptureReport;

use super::board::{Board, Status};
use crate::append::Relay;

const REPORT_EVERY: Duration = Duration::from_secs(3);

/// Tells the relay how capture is: every few seconds, and at each change. Once `ending`, the last word
/// follows; it is said behind the others, so that it is the one that stays.
pub(super) async fn report(
    board: Board,
    slot: String,
    fallback: Option<Arc<Relay>>,
    ending: CancellationToken,
) {
    let mut changes = board.watch();
    loop {
        let status = changes.borrow_and_update().clone();
        send(&status, &slot, fallback.as_ref()).await;
        tokio::select! {
            _ = timeout(REPORT_EVERY, changes.changed()) => {}
            () = ending.cancelled() => break,
        }
    }
    send(&board.now(), &slot, fallback.as_ref()).await;
}

async fn send(status: &Status, slot: &str, fallback: Option<&Arc<Relay>>) {
    let Some(relay) = status.relay.as_ref().or(fallback) else { return };
    let report = CaptureReport {
        session: status.session,
        state: status.state,
        slot: slot.to_owned(),
        master: status.master,
        retained_bytes: status.retained_bytes,
        error: status.error.clone(),
    };
    // The work itself shows whether the relay is there; a report that is lost is followed by the next.
    if let Err(error) = relay.report(report).await {
        tracing::debug!(%error, "a report was lost");
    }
}
