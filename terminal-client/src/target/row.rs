use serde::{Deserialize, Serialize};
use wire::{ChannelMap, ChannelName};

use super::{
    error::TargetError,
    stored::{Stored, StoredState},
};
use crate::position::Position;

/// The position row as targets keep it: every field as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRow {
    /// 32 hexadecimal digits.
    pub lineage: String,
    /// As PostgreSQL prints a position.
    pub lsn: String,
    /// JSON object, channel to hash.
    pub hashes: String,
    /// `loading` or `ready`.
    pub state: String,
    /// JSON array of names; none for all.
    pub channels: Option<String>,
    /// JSON of the channel map.
    pub channel_map: String,
}

impl StoredRow {
    /// What to write.
    ///
    /// # Errors
    /// None that can be met: the parts are all plain JSON.
    pub fn of(target: &str, stored: &Stored) -> Result<Self, TargetError> {
        let json = |what: &'static str, result: serde_json::Result<String>| {
            result.map_err(|error| unreadable(target, what, &error))
        };
        let channels = stored.channels.as_ref().map(serde_json::to_string).transpose();
        Ok(Self {
            lineage: stored.position.lineage.to_string(),
            lsn: stored.position.lsn.to_string(),
            hashes: json("hashes", serde_json::to_string(&stored.position.hashes))?,
            state: stored.state.word().to_owned(),
            channels: channels.map_err(|error| unreadable(target, "channels", &error))?,
            channel_map: json("channel_map", serde_json::to_string(&stored.channel_map))?,
        })
    }

    /// What was read.
    pub fn read(&self, target: &str) -> Result<Stored, TargetError> {
        let lineage =
            self.lineage.parse().map_err(|error| unreadable(target, "lineage", &error))?;
        let lsn = self.lsn.parse().map_err(|error| unreadable(target, "lsn", &error))?;
        let hashes = serde_json::from_str(&self.hashes)
            .map_err(|error| unreadable(target, "hashes", &error))?;
        let channels: Option<Vec<ChannelName>> = self
            .channels
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| unreadable(target, "channels", &error))?;
        let channel_map: ChannelMap = serde_json::from_str(&self.channel_map)
            .map_err(|error| unreadable(target, "channel_map", &error))?;
        let state = StoredState::from_word(&self.state)
            .ok_or_else(|| unreadable(target, "state", &self.state))?;
        let position = Position::proved(lineage, lsn, hashes);
        Ok(Stored { position, state, channels, channel_map })
    }
}

fn unreadable(target: &str, field: &'static str, why: &dyn std::fmt::Display) -> TargetError {
    TargetError::Position { target: target.to_owned(), field, why: why.to_string() }
}
