//! How the proxy behaves, and what its connections share.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client, which connected to the proxy, to the target.
    ToTarget,
    /// From the target to the client: answers.
    ToClient,
}

/// What the proxy does to its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Carries everything.
    Pass,
    /// Carries nothing and keeps connections open; what was sent arrives after a return to `Pass`.
    Stall,
    /// Takes connections, swallows all that is sent, never answers. Open ones stall.
    Blackhole,
    /// Nothing listens; open connections are reset.
    Refuse,
    /// On each connection: carries this many bytes in this direction, then resets it.
    Truncate(Direction, u64),
    /// Answers every HTTP request by a page of HTML with this status, as a captive portal does
    /// with 200 and a gateway with 502. Open connections are reset.
    Html(u16),
}

/// What all connections of a proxy share.
#[derive(Debug)]
pub(super) struct Shared {
    target: SocketAddr,
    mode: watch::Receiver<Mode>,
    lanes: [Lane; 2],
    connections: AtomicU64,
    open: Mutex<CancellationToken>,
}

impl Shared {
    pub(super) fn new(target: SocketAddr, mode: watch::Receiver<Mode>) -> Self {
        let (connections, open) = (AtomicU64::new(0), Mutex::new(CancellationToken::new()));
        Self { target, mode, lanes: Default::default(), connections, open }
    }

    pub(super) fn target(&self) -> SocketAddr {
        self.target
    }

    pub(super) fn mode(&self) -> watch::Receiver<Mode> {
        self.mode.clone()
    }

    pub(super) fn lane(&self, direction: Direction) -> &Lane {
        let [to_target, to_client] = &self.lanes;
        match direction {
            Direction::ToTarget => to_target,
            Direction::ToClient => to_client,
        }
    }

    pub(super) fn limit(&self, bytes_per_second: Option<u64>) {
        for lane in &self.lanes {
            lane.bytes_per_second.store(bytes_per_second.unwrap_or(0), Relaxed);
        }
    }

    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// Cancelled when the connections of now shall be reset.
    pub(super) fn until_cut(&self) -> CancellationToken {
        self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub(super) fn cut(&self) {
        let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        std::mem::take(&mut *open).cancel();
    }
}

/// One direction: its counter and its limit.
#[derive(Debug, Default)]
pub(super) struct Lane {
    bytes: AtomicU64,
    /// 0: no limit.
    bytes_per_second: AtomicU64,
    /// When the bytes passed so far are paid for.
    free_at: Mutex<Option<Instant>>,
}

impl Lane {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Notes `count` bytes, and tells how long to wait before the next.
    pub(super) fn pass(&self, count: u64) -> Duration {
        self.bytes.fetch_add(count, Relaxed);
        let rate = self.bytes_per_second.load(Relaxed);
        if rate == 0 {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let cost = Duration::from_micros(count.saturating_mul(1_000_000) / rate);
        let mut free_at = self.free_at.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let next = free_at.map_or(now, |at| at.max(now)) + cost;
        *free_at = Some(next);
        next.saturating_duration_since(now)
    }
}
