//! Chance that can be had again.

use std::{cell::Cell, sync::OnceLock};

use rand::{SeedableRng, rngs::StdRng};

thread_local! {
    static USED: Cell<bool> = const { Cell::new(false) };
}

/// The seed of this run: `TAILWATER_SEED`, or a new one. A test that asked for it says so when it
/// fails, with the command that repeats it.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    USED.set(true);
    *SEED.get_or_init(|| match std::env::var("TAILWATER_SEED") {
        Ok(text) => text.trim().parse().unwrap_or_else(|_| {
            eprintln!("TAILWATER_SEED={text} is not a number from 0 to 2^64-1; taking another");
            rand::random()
        }),
        Err(_) => rand::random(),
    })
}

/// A generator for one `purpose`: the same for the same seed, whatever other tests draw.
pub fn rng(purpose: &str) -> StdRng {
    rng_from(seed(), purpose)
}

/// [`rng`] for a given seed.
pub fn rng_from(seed: u64, purpose: &str) -> StdRng {
    // FNV-1a: fixed for all times, unlike the standard library's hashers.
    let mixed = purpose.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    StdRng::seed_from_u64(seed ^ mixed)
}

/// A new test begins on this thread.
pub(crate) fn clear() {
    USED.set(false);
}

/// How to repeat what this thread's test did, if it asked for chance at all.
pub(crate) fn replay_hint() -> Option<String> {
    USED.get().then(|| {
        let test = std::thread::current().name().unwrap_or("").to_owned();
        format!(
            "seed {0}; repeat with: TAILWATER_SEED={0} cargo test -p tailwater-tests {test}",
            seed()
        )
    })
}

#[cfg(test)]
mod tests {
    use rand::RngCore;

    use super::*;

    #[test]
    fn same_seed_same_numbers_and_purposes_differ() {
        let draw = |seed, purpose| rng_from(seed, purpose).next_u64();
        assert_eq!(draw(7, "kills"), draw(7, "kills"));
        assert_ne!(draw(7, "kills"), draw(7, "workload"));
        assert_ne!(draw(7, "kills"), draw(8, "kills"));
    }
}
