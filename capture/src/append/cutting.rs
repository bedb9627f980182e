/// When what was gathered becomes a slice: while one append is under way the next gathers, so that
/// slices are small when there is little to do and large under load.
#[derive(Debug, Clone, Copy)]
pub struct CutPolicy {
    /// Uncompressed bytes for which a second append at the same time pays. Default 256 KiB.
    pub worth: u64,
    /// Uncompressed bytes beyond which a slice does not grow. Default 4 MiB.
    pub large: u64,
}

impl Default for CutPolicy {
    fn default() -> Self {
        Self { worth: 256 << 10, large: 4 << 20 }
    }
}

impl CutPolicy {
    /// Whether to cut, with so many bytes gathered and so many slices not yet durable.
    pub fn wants_cut(&self, gathered: u64, under_way: usize) -> bool {
        match under_way {
            0 => gathered > 0,
            1 => gathered >= self.worth,
            _ => self.is_full(gathered),
        }
    }

    /// Whether nothing more goes into the slice.
    pub fn is_full(&self, gathered: u64) -> bool {
        gathered >= self.large
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_when_idle_large_under_load() {
        let policy = CutPolicy::default();
        assert!(policy.wants_cut(1, 0));
        assert!(!policy.wants_cut(0, 0));
        assert!(!policy.wants_cut(100_000, 1));
        assert!(policy.wants_cut(300_000, 1));
        assert!(!policy.wants_cut(300_000, 2));
        assert!(policy.wants_cut(5 << 20, 2));
    }
}
