use std::time::Duration;

/// Bounds of a log. The defaults are right for most.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A tail database this large (bytes) is sealed, and a fresh one begun; at most two are open, and
    /// an open one's size is what it takes of memory.
    pub tail_bytes: u64,
    /// Recent slices kept in memory, bytes.
    pub ring_bytes: usize,
    /// A closed range ends when one of its channels holds this much, bytes uncompressed.
    pub object_bytes: u64,
    /// zstd level of sealed objects, 1 to 19.
    pub seal_level: i32,
    /// How long an append waits for the one before it.
    pub turn_wait: Duration,
    /// How long an append waits for room in the tail while it is being sealed.
    pub room_wait: Duration,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            tail_bytes: 32 << 20,
            ring_bytes: 16 << 20,
            object_bytes: 16 << 20,
            seal_level: 5,
            turn_wait: Duration::from_secs(10),
            room_wait: Duration::from_secs(30),
        }
    }
}

impl LogSettings {
    /// A slice larger than this (bytes, as it comes) is not kept in the tail, where it would take
    /// memory: it becomes a closed range at once. An eighth of the tail: 4 MiB by default.
    pub(super) fn inline_bytes(&self) -> u64 {
        self.tail_bytes / 8
    }
}
