//! Chance, so that terminals that lost the same relay, or have the same schedule, do not come in step.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// Another number each time, in each process.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A time below `limit`, each as likely as any other.
pub(crate) fn up_to(limit: Duration) -> Duration {
    let nanos = limit.as_nanos().saturating_mul(u128::from(seed())) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spread_below_the_limit() {
        let limit = Duration::from_secs(10);
        let times: Vec<Duration> = (0..10_000).map(|_| up_to(limit)).collect();
        assert!(times.iter().all(|time| *time < limit));
        for second in 0..10 {
            let within = times.iter().filter(|time| time.as_secs() == second).count();
            // 1000 are expected, with a standard deviation of 30.
            assert!((700..1300).contains(&within), "{within} in second {second}");
        }
        assert_eq!(up_to(Duration::ZERO), Duration::ZERO);
        assert!(up_to(Duration::MAX) <= Duration::from_nanos(u64::MAX));
    }
}
