use std::{num::NonZeroU64, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::chance;

/// The bounds of everything that is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSettings {
    /// How long a connection may take to open. Default 10 s.
    pub connect_timeout: Duration,
    /// How long a relay may take until its answer begins, beyond the wait that was asked for.
    /// Default 30 s.
    pub answer_timeout: Duration,
    /// How long a body may stand still. Default 30 s.
    pub stall_timeout: Duration,
    /// How long to go on without any success before giving up. Default 2 min.
    pub patience: Duration,
    /// The first pause between rounds over the relays; it doubles. Default 200 ms.
    pub first_pause: Duration,
    /// The longest pause, also where a relay asks for a longer one by `Retry-After`, which is
    /// then honoured by leaving that relay alone. Default 30 s.
    pub longest_pause: Duration,
    /// The most that `Retry-After` is believed. Default 10 min.
    pub longest_retry_after: Duration,
    /// After this time a relay in front of the one in use is tried again; doubles with each vain
    /// attempt, up to sixteen times it. Default 1 min.
    pub prefer_again: Duration,
    /// How long a relay that gave damaged bytes is left alone, where there is another. Default 1 min.
    pub distrust: Duration,
    /// Bytes of a row of slices beyond the limit asked for (which counts them uncompressed).
    /// Default 16 MiB.
    pub slack_bytes: u64,
    /// The largest JSON body (a manifest, a snapshot's list). Default 64 MiB.
    pub json_bytes: u64,
    /// Objects fetched at a time. Default 4.
    pub parallel_objects: usize,
    /// Ranges fetched ahead of the one being applied. Default 2.
    pub ranges_ahead: usize,
    /// Bytes of objects in the spool, the ones being applied included; a single range or object
    /// that is larger goes alone. Default 512 MiB.
    pub spool_bytes: u64,
    /// Bytes that are read per second from all relays together; none for as fast as they come, which
    /// is the default.
    pub max_rate: Option<NonZeroU64>,
    /// Whether the system's proxy settings count (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`).
    /// Default true.
    pub system_proxy: bool,
}

impl Default for FetchSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect_timeout: seconds(10),
            answer_timeout: seconds(30),
            stall_timeout: seconds(30),
            patience: seconds(120),
            first_pause: Duration::from_millis(200),
            longest_pause: seconds(30),
            longest_retry_after: seconds(600),
            prefer_again: seconds(60),
            distrust: seconds(60),
            slack_bytes: 16 << 20,
            json_bytes: 64 << 20,
            parallel_objects: 4,
            ranges_ahead: 2,
            spool_bytes: 512 << 20,
            max_rate: None,
            system_proxy: true,
        }
    }
}

impl FetchSettings {
    /// Pauses that double from the first to the longest, without an end. Chance adds up to as much
    /// again, so that a fleet that lost its relay does not come back in step.
    pub(super) fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let longest = self.longest_pause;
        ExponentialBuilder::new()
            .with_min_delay(self.first_pause)
            .with_max_delay(longest / 2)
            .without_max_times()
            .with_jitter()
            // Its own is constant without its feature `std`.
            .with_jitter_seed(chance::seed())
            .build()
            .map(move |pause| pause.min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let settings = FetchSettings::default();
        let pauses: Vec<Duration> = settings.pauses().take(40).collect();
        assert!(pauses[0] >= settings.first_pause && pauses[0] <= settings.first_pause * 2);
        assert!(pauses.iter().all(|pause| *pause <= settings.longest_pause));
        assert!(pauses[39] >= settings.longest_pause / 2);
        let other: Vec<Duration> = settings.pauses().take(40).collect();
        assert_ne!(pauses, other, "two terminals must not pause in step");
    }
}
