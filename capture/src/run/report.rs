use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wire::{CaptureReport, CaptureState};

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
    let slot_status = status.slot.as_ref();
    let report = CaptureReport {
        session: status.session,
        state: status.state,
        slot: slot.to_owned(),
        master: status.master,
        retained_bytes: slot_status.map(|slot| slot.retained_bytes),
        safe_wal_bytes: slot_status.and_then(|slot| slot.room_bytes),
        slot_time_left_seconds: slot_status.and_then(|slot| slot.left).map(|left| left.as_secs()),
        copy: status.copy.clone(),
        error: error(status),
    };
    // The work itself shows whether the relay is there; a report that is lost is followed by the next.
    if let Err(error) = relay.report(report).await {
        tracing::debug!(%error, "a report was lost");
    }
}

/// What is wrong, and what threatens the slot. A capture that has given up has a reason, beside which what
/// threatened is of no interest.
fn error(status: &Status) -> Option<String> {
    let gave_up = !matches!(
        status.state,
        CaptureState::Starting
            | CaptureState::WaitingForSlot
            | CaptureState::Copying
            | CaptureState::Streaming
            | CaptureState::Unproved
            | CaptureState::PublicationChanged
    );
    let warning = status.slot.as_ref().and_then(|slot| slot.warning.clone());
    match (status.error.clone(), warning.filter(|_| !gave_up)) {
        (Some(error), Some(warning)) => Some(format!("{error}; {warning}")),
        (error, warning) => error.or(warning),
    }
}
