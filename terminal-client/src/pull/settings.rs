use std::{path::PathBuf, sync::Arc, time::Duration};

use wire::{ChannelName, ChannelSet, SourceName, TerminalName};

use super::error::PullError;
use crate::{
    fetch::Relays,
    target::{OnConflict, OnError, Stored},
};

/// What a pull needs to know, all of it fixed for the life of the process.
#[derive(Debug)]
pub struct Settings {
    /// The source.
    pub source: SourceName,
    /// This terminal's name.
    pub terminal: TerminalName,
    /// The channels; empty for all that the token allows.
    pub channels: Vec<ChannelName>,
    /// The relays.
    pub relays: Arc<Relays>,
    /// Where objects lie until they are applied; none for the system's place.
    pub spool_dir: Option<PathBuf>,
    /// How long to go on without any progress; none for ever. The relays have the same.
    pub patience: Option<Duration>,
    /// What is done where the target is otherwise than the source.
    pub policy: Policy,
    /// Bounds of what is held and of what one target transaction takes.
    pub bounds: Bounds,
}

/// What is done where the target is otherwise than the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// About changes that do not meet their rows: the source's rows are brought about.
    pub on_conflict: OnConflict,
    /// About transactions that cannot be applied: the pull ends.
    pub on_error: OnError,
    /// Whether the target refuses other writers on the source's tables; none leaves it as it is.
    pub guard: Option<bool>,
}

/// Bounds, each with a default that is right for most.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Uncompressed bytes asked for in one answer: 8 MiB. Four answers are held at most.
    pub answer_bytes: u64,
    /// How long a long poll waits: 30 s.
    pub poll_wait: Duration,
    /// Changes after which the target transaction is committed at the next boundary: 20,000.
    pub commit_changes: u64,
    /// Time after which it is: 1 s.
    pub commit_after: Duration,
    /// How long to wait for another run on the same target: 10 s.
    pub lock_wait: Duration,
    /// Connections of a PostgreSQL target that a load writes with: 4.
    pub load_connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            answer_bytes: 8 << 20,
            poll_wait: Duration::from_secs(30),
            commit_changes: 20_000,
            commit_after: Duration::from_secs(1),
            lock_wait: Duration::from_secs(10),
            load_connections: 4,
        }
    }
}

impl Settings {
    /// Whether a channel is one of those asked for; the control channel always is.
    pub(super) fn wants(&self, channel: &ChannelName) -> bool {
        channel.is_control() || self.channels.is_empty() || self.channels.contains(channel)
    }

    /// Refuses other channels by name than those that the target was loaded with. Where none are named,
    /// the token decides, and every answer of a relay says what it allows.
    pub(super) fn check_channels(&self, stored: &Stored) -> Result<(), PullError> {
        let (own, asked) = (stored.channel_set(), ChannelSet::of(Some(&self.channels)));
        if self.channels.is_empty() || own == asked {
            return Ok(());
        }
        Err(PullError::Channels { own: own.shown(), asked: asked.shown() })
    }
}
