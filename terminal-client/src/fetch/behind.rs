use std::time::Duration;

use wire::{Behind, ChannelName, ChannelSet, headers};

use super::{
    endpoint::Endpoint,
    error::FetchError,
    failure::{Failure, FailureKind},
    pull::channel_list,
    relays::{Question, Relays},
    report::{PullReport, with_report},
};
use crate::position::Position;

/// How far a position is behind a relay's head; refused as a pull from there would be.
#[derive(Clone, Debug)]
pub struct BehindQuestion {
    /// The position.
    pub from: Position,
    /// The channels; empty for all that the token allows.
    pub channels: Vec<ChannelName>,
    /// The channels that the target has, where none are named: as for a pull.
    pub loaded: Option<ChannelSet>,
}

impl Relays {
    /// What lies between a position and the head of the first relay that tells. It is no report.
    pub async fn behind(&self, question: &BehindQuestion) -> Result<Behind, FetchError> {
        Ok(self.ask(question, self.settings().patience).await?.1)
    }
}

impl Question for BehindQuestion {
    type Answer = Behind;

    async fn ask(&self, endpoint: &Endpoint) -> Result<Behind, Failure> {
        let Position { lineage, lsn, hashes, .. } = &self.from;
        let mut request = endpoint.get("behind").query(&[("after", lsn.to_string())]);
        if !self.channels.is_empty() {
            request = request.query(&[("channels", channel_list(&self.channels))]);
        }
        let request = with_report(request, &PullReport::default(), Some(*lineage), Some(hashes));
        let answer = endpoint.send("behind", request, Duration::ZERO).await?.success().await?;
        if let Some(loaded) = &self.loaded {
            let allowed: ChannelSet = answer.required(headers::CHANNELS)?;
            if allowed != *loaded {
                let (loaded, allowed) = (Box::new(loaded.clone()), Box::new(allowed));
                return Err(answer.failure(FailureKind::Channels { loaded, allowed }));
            }
        }
        answer.json(endpoint.settings().json_bytes).await
    }
}
