use std::time::Duration;

/// From when on somebody counts as behind or offline, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetLimits {
    /// A terminal that is silent for longer is `offline`.
    pub offline_after: Duration,
    /// A capture that is silent for longer is `offline`.
    pub capture_offline_after: Duration,
    /// A terminal is `behind` when the oldest commit that it lacks is older.
    pub behind_after: Duration,
    /// A terminal is `behind` when it lacks more bytes of WAL.
    pub behind_bytes: u64,
    /// Terminals kept for each source; reports of more are refused.
    pub terminals: usize,
}

impl Default for FleetLimits {
    fn default() -> Self {
        Self {
            offline_after: Duration::from_secs(600),
            capture_offline_after: Duration::from_secs(60),
            behind_after: Duration::from_secs(60),
            behind_bytes: 64 << 20,
            terminals: 10_000,
        }
    }
}
