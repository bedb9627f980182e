use std::time::Duration;

use crate::{fleet::FleetLimits, log::LogSettings, requests::SnapshotRule};

/// Bounds of the server. The defaults are right for most.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Bounds of each log.
    pub log: LogSettings,
    /// When terminals and captures count as behind or offline.
    pub fleet: FleetLimits,
    /// When a snapshot is wanted by itself.
    pub snapshots: SnapshotRule,
    /// Let nobody in without a token, even before the first was added: off loopback.
    pub tokens_required: bool,
    /// Connections at once; more wait to be accepted.
    pub max_connections: usize,
    /// A request's head must come within this.
    pub header_timeout: Duration,
    /// A connection whose other side takes nothing for this long is closed.
    pub write_timeout: Duration,
    /// An upload that brings nothing for this long is given up.
    pub body_timeout: Duration,
    /// At the end, requests under way have this long to finish.
    pub drain_timeout: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            log: LogSettings::default(),
            fleet: FleetLimits::default(),
            snapshots: SnapshotRule::default(),
            tokens_required: false,
            max_connections: 4096,
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
