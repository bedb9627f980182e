use std::time::Duration;

/// Pauses between attempts: they double up to a limit, with some chance in them so that many
/// do not come back at the same moment.
#[derive(Debug, Clone)]
pub struct Patience {
    next: Duration,
    least: Duration,
    most: Duration,
}

impl Patience {
    /// From `least`, doubling up to `most`.
    pub fn new(least: Duration, most: Duration) -> Self {
        Self { next: least, least, most }
    }

    /// The pause before the next attempt.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = self.next.saturating_mul(2).min(self.most);
        let mut random = [0_u8; 1];
        // Without randomness the pause is merely regular.
        let _ = getrandom::fill(&mut random);
        let [random] = random;
        pause.mul_f64(0.75 + f64::from(random) / 1024.0)
    }

    /// An attempt went well.
    pub fn reset(&mut self) {
        self.next = self.least;
    }
}

impl Default for Patience {
    /// From 100 ms to 5 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut patience = Patience::new(Duration::from_secs(1), Duration::from_secs(8));
        for most in [1, 2, 4, 8, 8, 8] {
            let (pause, most) = (patience.pause(), Duration::from_secs(most));
            assert!(pause <= most && pause >= most.mul_f64(0.7), "{pause:?} of {most:?}");
        }
        patience.reset();
        assert!(patience.pause() <= Duration::from_secs(1));
    }
}
