use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// What was waited for may have come.
    Changed,
    /// The time is over, or the relay stops.
    Over,
}

/// Waits for a change, at most until `deadline` or until the relay stops.
pub(super) async fn wait_for_change<T>(
    changes: &mut tokio::sync::watch::Receiver<T>,
    deadline: Instant,
    stopping: &CancellationToken,
) -> Woken {
    tokio::select! {
        changed = changes.changed() => if changed.is_ok() { Woken::Changed } else { Woken::Over },
        () = tokio::time::sleep_until(deadline) => Woken::Over,
        () = stopping.cancelled() => Woken::Over,
    }
}

/// The longest that a request may ask to wait.
pub(super) const MOST_WAIT: Duration = Duration::from_secs(60);

/// The wait that a request asks for, within bounds.
pub(super) fn bounded(seconds: Option<f64>) -> Duration {
    let seconds = seconds.filter(|seconds| *seconds > 0.0).unwrap_or(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(MOST_WAIT).min(MOST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_longer_than_a_minute() {
        for (asked, most) in [(None, 0), (Some(-1.0), 0), (Some(f64::NAN), 0), (Some(7.0), 7)] {
            assert_eq!(bounded(asked), Duration::from_secs(most), "{asked:?}");
        }
        for asked in [61.0, 1e9, 1e300, f64::INFINITY] {
            assert_eq!(bounded(Some(asked)), MOST_WAIT, "{asked}");
        }
    }
}
