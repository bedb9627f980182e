use std::time::Duration;

use reqwest::{Url, header};
use wire::ProblemKind;

use super::{
    answer::Answer,
    endpoint::Endpoint,
    error::SpoolError,
    failure::{Failure, FailureKind},
    partial::Partial,
};

/// Why an object is not there yet.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// The relay.
    Relay(Failure),
    /// The spool.
    Spool(SpoolError),
}

impl From<Failure> for Interrupted {
    fn from(failure: Failure) -> Self {
        Self::Relay(failure)
    }
}

impl From<SpoolError> for Interrupted {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error)
    }
}

/// Fetches what is missing of an object from one relay, once. Afterwards all bytes are there and
/// are those of its name; after damage none are. `anew` bids caches between to ask the relay.
pub(super) async fn download(
    endpoint: &Endpoint,
    url: &Url,
    partial: &mut Partial,
    anew: bool,
) -> Result<(), Interrupted> {
    let doing = format!("object {}", partial.name());
    let mut request = endpoint.get_object(url.clone());
    if partial.received() > 0 {
        // RFC 9110, 13.1.5 and 14.2: go on, unless it is not the same object.
        request = request
            .header(header::RANGE, format!("bytes={}-", partial.received()))
            .header(header::IF_RANGE, format!("\"{}\"", partial.name()));
    }
    if anew {
        request = request.header(header::CACHE_CONTROL, "no-cache");
    }
    let answer = endpoint.send(doing, request, Duration::ZERO).await?;
    let mut answer = accepted(answer, partial).await?;
    while let Some(bytes) = answer.chunk().await? {
        if bytes.len() as u64 > partial.missing() {
            partial.restart().await?;
            let why = format!("it is longer than the {} bytes announced", partial.len());
            return Err(answer.malformed(why).into());
        }
        partial.append(&bytes).await?;
    }
    if partial.missing() > 0 {
        let (received, why) = (partial.received(), format!("{} were announced", partial.len()));
        return Err(answer.failure(FailureKind::Cut { received, why }).into());
    }
    let found = partial.hash();
    if found != partial.name() {
        partial.restart().await?;
        return Err(answer.failure(FailureKind::Damaged { found }).into());
    }
    Ok(())
}

/// An answer whose body is what is missing; where the relay begins from the front, so does the file.
async fn accepted(answer: Answer, partial: &mut Partial) -> Result<Answer, Interrupted> {
    let begins = match answer.status() {
        200 => 0,
        206 => content_range(&answer, partial.len())?,
        416 => {
            partial.restart().await?;
            return Err(answer.malformed("it refuses the range that is missing".into()).into());
        }
        _ => return Err(gone(answer.refusal().await).into()),
    };
    answer.check_encoding()?;
    if answer.content_type() == "text/html" {
        return Err(answer.foreign().await.into());
    }
    if begins != partial.received() {
        if begins > 0 {
            let why = format!("it begins at byte {begins}, {} was asked for", partial.received());
            return Err(answer.malformed(why).into());
        }
        partial.restart().await?;
    }
    match answer.content_length().filter(|length| *length != partial.missing()) {
        None => Ok(answer),
        Some(length) => {
            let why = format!("it has {length} bytes where {} are missing", partial.missing());
            Err(answer.malformed(why).into())
        }
    }
}

/// Where a part begins: `Content-Range: bytes FIRST-LAST/LENGTH` (RFC 9110, 14.4).
fn content_range(answer: &Answer, len: u64) -> Result<u64, Failure> {
    let text = answer.header(header::CONTENT_RANGE.as_str()).unwrap_or_default();
    let parsed = text.strip_prefix("bytes ").and_then(|text| {
        let (range, length) = text.split_once('/')?;
        let (first, _) = range.split_once('-')?;
        let right = length == "*" || length.parse() == Ok(len);
        first.parse().ok().filter(|_| right)
    });
    parsed.ok_or_else(|| answer.malformed(format!("its range '{text}' is not one of {len} bytes")))
}

/// A signature that has run out and an object that was removed are no refusal: they are asked for
/// again where they are listed.
fn gone(failure: Failure) -> Failure {
    let why = failure.problem().and_then(|problem| match problem.kind {
        ProblemKind::Unauthorized
        | ProblemKind::Forbidden
        | ProblemKind::UnknownSource
        | ProblemKind::NotFound => Some(problem.detail.clone()),
        _ => None,
    });
    match why {
        Some(why) => Failure { kind: FailureKind::Gone { why }, ..failure },
        None => failure,
    }
}
