use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time::sleep};
use wire::{Lsn, Request, SnapshotMark};

use super::job::SnapshotJob;
use crate::append::{Patience, Relay};

/// How long the relay keeps a poll that has nothing.
const POLL: Duration = Duration::from_secs(30);
/// Between two polls.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits until a snapshot is due, or the relay asks for one.
pub(super) async fn wanted(job: &SnapshotJob) {
    let why = tokio::select! {
        () = due(job.settings.snapshot_every, job.newest.as_ref()) => "it is due",
        () = asked(&job.relay) => "the relay asks for one",
        () = needed(job.needed.clone(), job.newest.as_ref()) => "rows are not in the stream, of a table that was altered or joined",
    };
    tracing::info!("taking a snapshot: {why}");
}

async fn needed(mut needed: watch::Receiver<Lsn>, newest: Option<&SnapshotMark>) {
    let newest = newest.map_or(Lsn::ZERO, |mark| mark.lsn);
    if needed.wait_for(|needed| *needed > Lsn::ZERO && *needed >= newest).await.is_err() {
        std::future::pending().await
    }
}

async fn due(every: Option<Duration>, newest: Option<&SnapshotMark>) {
    match every {
        Some(every) => sleep(left(every, newest, Timestamp::now())).await,
        None => std::future::pending().await,
    }
}

/// Until the newest is so old. Its time is this clock's or that of an earlier capture's; one in the future
/// is as good as now.
fn left(every: Duration, newest: Option<&SnapshotMark>, now: Timestamp) -> Duration {
    let taken = newest.and_then(|mark| mark.created_at.parse::<Timestamp>().ok());
    let Some(taken) = taken else { return Duration::ZERO };
    let age = now.duration_since(taken).max(SignedDuration::ZERO);
    every.saturating_sub(age.unsigned_abs())
}

async fn asked(relay: &Relay) {
    let mut patience = Patience::new(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        let pause = match relay.requests(POLL).await {
            Ok(requests) if requests.contains(&Request::Snapshot) => return,
            Ok(_) => {
                patience.reset();
                PAUSE
            }
            Err(error) => {
                // The stream itself shows whether the relay is there.
                tracing::debug!(%error, "the relay cannot be asked what it wants");
                patience.pause()
            }
        };
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_snapshots_age_decides() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let every = Duration::from_secs(3600);
        let left = |at: &str| {
            let mark = SnapshotMark { lsn: Lsn::new(1), created_at: at.to_owned() };
            left(every, Some(&mark), now).as_secs()
        };
        assert_eq!(left("2026-01-01T11:30:00Z"), 1800);
        assert_eq!(left("2026-01-01T10:00:00Z"), 0, "also where it was due while nobody ran");
        assert_eq!(left("2026-01-01T13:00:00Z"), 3600, "a clock that was put back");
        assert_eq!(left("yesterday"), 0);
        assert_eq!(super::left(every, None, now), Duration::ZERO);
    }
}
