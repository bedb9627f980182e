use std::{
    num::NonZeroU64,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::time::sleep_until;

/// What a pause leaves to be made up for: a timer that is late by milliseconds does not lower the rate.
const SAVED: Duration = Duration::from_millis(100);

/// All bytes of bodies that come from the relays of a process: counted, and held to a rate.
#[derive(Debug)]
pub(super) struct Flow {
    received: AtomicU64,
    bucket: Option<Mutex<Bucket>>,
}

impl Flow {
    /// Bytes per second; none for as fast as they come.
    pub(super) fn new(max_rate: Option<NonZeroU64>) -> Self {
        let bucket = max_rate.map(|rate| Mutex::new(Bucket::new(rate, Instant::now())));
        Self { received: AtomicU64::new(0), bucket }
    }

    /// Bytes so far.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// So many bytes came. Returns when more may be read: what is not read, the relay does not send.
    pub(super) async fn came(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        let at = self.bucket.as_ref().map(|bucket| {
            let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(bytes, Instant::now())
        });
        if let Some(at) = at {
            sleep_until(at.into()).await;
        }
    }
}

/// A token bucket, by the time when it is no longer in debt. Pure; the clock is handed in.
#[derive(Debug)]
struct Bucket {
    rate: NonZeroU64,
    even_at: Instant,
}

impl Bucket {
    /// Empty.
    fn new(rate: NonZeroU64, now: Instant) -> Self {
        Self { rate, even_at: now }
    }

    /// Takes the tokens for so many bytes; when they are all there.
    fn take(&mut self, bytes: u64, now: Instant) -> Instant {
        let nanos = (u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(self.rate.get()));
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let saved = now.checked_sub(SAVED).unwrap_or(now);
        self.even_at = self.even_at.max(saved) + takes;
        self.even_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn bucket() -> (Bucket, Instant) {
        let now = Instant::now();
        (Bucket::new(NonZeroU64::new(1000).unwrap(), now), now)
    }

    #[test]
    fn all_that_comes_at_once_waits_its_turn() {
        let (mut bucket, now) = bucket();
        assert_eq!(bucket.take(500, now), now + 500 * MS);
        assert_eq!(bucket.take(250, now), now + 750 * MS);
        assert_eq!(bucket.take(0, now), now + 750 * MS);
        // Late by less than what is saved: the rate is kept.
        assert_eq!(bucket.take(1000, now + 800 * MS), now + 1750 * MS);
        let (odd, begun) = (NonZeroU64::new(3).unwrap(), Instant::now());
        assert_eq!(
            Bucket::new(odd, begun).take(1, begun),
            begun + Duration::from_nanos(333_333_334)
        );
    }

    #[test]
    fn a_long_pause_saves_no_more_than_a_little() {
        let (mut bucket, now) = bucket();
        let later = now + 1_000_000 * MS;
        assert_eq!(bucket.take(1000, later), later + 900 * MS);
        assert_eq!(bucket.take(0, later), later + 900 * MS);
    }
}
