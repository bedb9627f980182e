use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use wire::CaptureReport;

use super::board::{Board, Status};
use crate::append::Relay;

const REPORT_EVERY: Duration = Duration::from_secs(3);
/// How long the last word before the end may take.
const LAST_WORD: Duration = Duration::from_secs(3);

/// Tells the relay how capture is: every few seconds, and at each change.
pub(super) async fn report(board: Board, slot: String, fallback: Option<Arc<Relay>>) {
    let mut changes = board.watch();
    loop {
        let status = changes.borrow_and_update().clone();
        send(&status, &slot, fallback.as_ref()).await;
        match timeout(REPORT_EVERY, changes.changed()).await {
            Ok(Err(_)) => return,
            Ok(Ok(())) | Err(_) => {}
        }
    }
}

/// The last word.
pub(super) async fn last_word(board: &Board, slot: &str, fallback: Option<&Arc<Relay>>) {
    let _ = timeout(LAST_WORD, send(&board.now(), slot, fallback)).await;
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
