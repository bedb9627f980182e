use std::{str::FromStr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{Response, header};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use wire::Problem;

use super::{
    failure::{Failure, FailureKind, root_cause},
    flow::Flow,
};

/// Longest part of a foreign answer that is shown.
const EXCERPT: usize = 120;
/// What is read of an answer that is no success.
const PROBLEM_BYTES: u64 = 64 << 10;

/// An answer that has begun: status and headers are there, the body is still to come.
#[derive(Debug)]
pub(super) struct Answer {
    relay: String,
    doing: String,
    response: Response,
    stall: Duration,
    flow: Arc<Flow>,
    received: u64,
}

impl Answer {
    pub(super) fn new(
        relay: String,
        doing: String,
        response: Response,
        stall: Duration,
        flow: Arc<Flow>,
    ) -> Self {
        Self { relay, doing, response, stall, flow, received: 0 }
    }

    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header as text; none where it is missing or no text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok().map(str::trim)
    }

    /// A header that must be there.
    pub(super) fn required<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        let text = self.header(name);
        text.and_then(|text| text.parse().ok()).ok_or_else(|| {
            self.malformed(match text {
                Some(text) => format!("the header {name} is '{text}'"),
                None => format!("the header {name} is missing"),
            })
        })
    }

    /// The content type without its parameters, in lower case.
    pub(super) fn content_type(&self) -> String {
        let text = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Nobody was asked to compress: who did, is no relay.
    pub(super) fn check_encoding(&self) -> Result<(), Failure> {
        match self.header(header::CONTENT_ENCODING.as_str()) {
            None | Some("identity") => Ok(()),
            Some(other) => {
                Err(self.malformed(format!("it is encoded as {other}, which was not asked for")))
            }
        }
    }

    /// The length that the body is said to have.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece of the body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let kind = match timeout(self.stall, self.response.chunk()).await {
            Ok(Ok(chunk)) => {
                let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                self.received += bytes;
                self.flow.came(bytes).await;
                return Ok(chunk);
            }
            Ok(Err(error)) => FailureKind::Cut { received: self.received, why: root_cause(&error) },
            Err(_) => {
                FailureKind::Silent { what: "no further byte of the answer", waited: self.stall }
            }
        };
        Err(self.failure(kind))
    }

    /// The whole body, at most `bound` bytes.
    pub(super) async fn body(&mut self, bound: u64) -> Result<Bytes, Failure> {
        let too_large = |answer: &Self| {
            answer.malformed(format!("its body is longer than {bound} bytes, the most expected"))
        };
        self.check_encoding()?;
        let announced = self.content_length().unwrap_or(0);
        if announced > bound {
            return Err(too_large(self));
        }
        let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(chunk) = self.chunk().await? {
            if self.received > bound {
                return Err(too_large(self));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// This answer, where it is a success.
    pub(super) async fn success(self) -> Result<Self, Failure> {
        match self.status() {
            200..300 => Ok(self),
            300..400 => Err(self.foreign().await),
            _ => Err(self.refusal().await),
        }
    }

    /// The body of a success, JSON.
    pub(super) async fn json<T: DeserializeOwned>(self, bound: u64) -> Result<T, Failure> {
        let mut this = self.success().await?;
        if !this.content_type().ends_with("json") {
            return Err(this.foreign().await);
        }
        let body = this.body(bound).await?;
        serde_json::from_slice(&body).map_err(|error| this.malformed(error.to_string()))
    }

    /// What an answer that is no success means: the relay's problem, or somebody else's page.
    pub(super) async fn refusal(mut self) -> Failure {
        let date = self.header(header::DATE.as_str()).and_then(http_date);
        let now = date.unwrap_or_else(Timestamp::now);
        let text = self.header(header::RETRY_AFTER.as_str());
        let retry_after = text.and_then(|text| retry_after(text, now));
        let body = self.body(PROBLEM_BYTES).await.unwrap_or_default();
        let kind = match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => FailureKind::Problem { problem: Box::new(problem) },
            Err(_) => self.foreign_kind(&body),
        };
        Failure { retry_after, ..self.failure(kind) }
    }

    /// An answer that no relay gives.
    pub(super) async fn foreign(mut self) -> Failure {
        let begin = self.chunk().await.ok().flatten().unwrap_or_default();
        let kind = self.foreign_kind(&begin);
        self.failure(kind)
    }

    pub(super) fn malformed(&self, why: String) -> Failure {
        self.failure(FailureKind::Malformed { why })
    }

    pub(super) fn failure(&self, kind: FailureKind) -> Failure {
        let (relay, doing) = (self.relay.clone(), self.doing.clone());
        Failure { relay, doing, kind, retry_after: None }
    }

    fn foreign_kind(&self, body: &[u8]) -> FailureKind {
        let begin = body.get(..body.len().min(8 * EXCERPT)).unwrap_or_default();
        let text = String::from_utf8_lossy(begin);
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut excerpt: String = words.join(" ").chars().take(EXCERPT).collect();
        if excerpt.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
            excerpt = "no text".to_owned();
        }
        if let Some(to) = self.header(header::LOCATION.as_str()) {
            excerpt = format!("redirects to {}", to.split('?').next().unwrap_or_default());
        }
        let content_type = match self.content_type() {
            none if none.is_empty() => "no content type".to_owned(),
            some => some,
        };
        FailureKind::Foreign { status: self.status(), content_type, excerpt }
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), which counts from the answer's own date:
/// the clock here may be wrong.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(Duration::try_from(http_date(text)?.duration_since(now)).unwrap_or_default())
}

fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after() {
        let now = http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap();
        for (text, expected) in [
            ("120", Some(Duration::from_secs(120))),
            ("Wed, 21 Oct 2015 07:29:01 GMT", Some(Duration::from_secs(61))),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(Duration::ZERO)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(retry_after(text, now), expected, "{text}");
        }
    }
}
