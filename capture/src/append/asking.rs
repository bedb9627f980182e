//! What the relay wants, and what it is asked for.

use std::time::Duration;

use reqwest::StatusCode;
use wire::{CaptureState, Lineage, Request, RequestAnswer, RequestList, SnapshotList, headers};

use super::{client::Relay, error::RelayError};

/// Added to the time that the relay keeps a poll.
const ANSWER_AFTER: Duration = Duration::from_secs(10);

impl Relay {
    /// What the relay wants of capture; waits so long where that is nothing.
    pub async fn requests(&self, wait: Duration) -> Result<Vec<Request>, RelayError> {
        let request = self.get("requests").query(&[("wait", wait.as_secs())]);
        let doing = "the question for requests";
        let answer = self.send(doing, request.timeout(wait + ANSWER_AFTER)).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(Vec::new());
        }
        let RequestList { requests } = self.read(doing, answer).await?;
        Ok(requests)
    }

    /// Notes there what capture is to do.
    pub async fn want(&self, wanted: Request) -> Result<RequestAnswer, RelayError> {
        self.answer("the request", self.post("requests").json(&wanted)).await
    }

    /// The snapshots that terminals may take, newest first, without their tables; and, where the relay
    /// tells, what capture is doing and which history it has.
    pub async fn snapshots(
        &self,
    ) -> Result<(SnapshotList, Option<CaptureState>, Option<Lineage>), RelayError> {
        let request = self.get("snapshot").query(&[("channels", "control")]);
        let doing = "the question for snapshots";
        let answer = self.send(doing, request).await?;
        let state = answer.headers().get(headers::CAPTURE).and_then(|text| text.to_str().ok());
        let state = state.and_then(|text| serde_json::from_value(text.into()).ok());
        let lineage = answer.headers().get(headers::LINEAGE).and_then(|text| text.to_str().ok());
        let lineage = lineage.and_then(|text| text.parse().ok());
        Ok((self.read(doing, answer).await?, state, lineage))
    }
}
