use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper::{StatusCode, header};
use serde::Deserialize;
use wire::{Hash, ProblemKind};

use super::link::signer;
use crate::{
    log::StoreError,
    server::{
        app::{App, blocking, unix_seconds},
        metrics::sent_object,
        params::{Asked, Names},
        problem::Refused,
    },
    sources::Source,
};

/// Bytes read at a time: what a reader that stalls holds, about twice.
const PIECE: u64 = 32 << 10;

/// The query of a signed URL.
#[derive(Debug, Deserialize)]
pub(in crate::server) struct Signed {
    exp: Option<u64>,
    sig: Option<String>,
    /// The snapshot that it belongs to; not signed, as it decides nothing but how long that stays.
    snapshot: Option<String>,
}

/// `GET /v1/{source}/objects/{name}`.
pub(in crate::server) async fn download(
    State(app): State<Arc<App>>,
    Names((source, name)): Names<(String, String)>,
    Asked(signed): Asked<Signed>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let source = app.source(&source)?;
    let name: Hash = name
        .parse()
        .map_err(|error: wire::ParseHashError| Refused::bad_request(error.to_string()))?;
    let now = unix_seconds(app.clock.now());
    let signer = signer(&source.log.standing());
    let expiry = signed.exp.unwrap_or(0);
    let signature = signed.sig.as_deref().unwrap_or_default();
    if !signer.verify(&source.name, name, expiry, signature, now) {
        return Err(Refused::new(
            ProblemKind::Forbidden,
            "the address is not signed by this relay, or has expired: pull again to get a new one",
        ));
    }
    if let Some(lsn) = signed.snapshot.as_deref().and_then(|text| text.parse().ok()) {
        source.log.snapshot_fetched(lsn);
    }
    let (checking, of) = (app.clone(), source.clone());
    let len = blocking(move || checking.verified.len(&**of.log.objects(), name)).await??;
    let len = len.ok_or_else(|| {
        Refused::new(ProblemKind::NotFound, format!("there is no object {name}; pull again"))
    })?;
    Ok(answer(source, name, len, expiry.saturating_sub(now), &headers))
}

fn answer(source: Arc<Source>, name: Hash, len: u64, max_age: u64, asked: &HeaderMap) -> Response {
    let etag = format!("\"{name}\"");
    let get = |name: header::HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let same = |list: &str| list == "*" || list.split(',').any(|tag| tag.trim() == etag);
    let mut answer = if get(header::IF_NONE_MATCH).is_some_and(same) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let range = get(header::RANGE).filter(|_| get(header::IF_RANGE).is_none_or(same));
        match range.map_or(Wanted::All, |range| wanted(range, len)) {
            Wanted::All => content(source, name, 0, len, StatusCode::OK),
            Wanted::Part { from, to } => {
                let mut part = content(source, name, from, to - from, StatusCode::PARTIAL_CONTENT);
                insert(&mut part, header::CONTENT_RANGE, &format!("bytes {from}-{}/{len}", to - 1));
                part
            }
            Wanted::Nothing => {
                let mut none = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
                insert(&mut none, header::CONTENT_RANGE, &format!("bytes */{len}"));
                return none;
            }
        }
    };
    insert(&mut answer, header::ETAG, &etag);
    insert(&mut answer, header::ACCEPT_RANGES, "bytes");
    let cache = format!("public, immutable, max-age={max_age}");
    insert(&mut answer, header::CACHE_CONTROL, &cache);
    answer
}

fn insert(answer: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

fn content(source: Arc<Source>, name: Hash, from: u64, len: u64, status: StatusCode) -> Response {
    let body = Body::from_stream(pieces(source, name, from, len));
    let mut answer = (status, body).into_response();
    insert(&mut answer, header::CONTENT_TYPE, "application/octet-stream");
    insert(&mut answer, header::CONTENT_LENGTH, &len.to_string());
    answer
}

/// What a `Range` header asks for (RFC 9110, 14.1.2): one range, or else everything.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part { from: u64, to: u64 },
    Nothing,
}

fn wanted(range: &str, len: u64) -> Wanted {
    let Some((from, to)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let part = |from: u64, to: u64| {
        if from < to { Wanted::Part { from, to } } else { Wanted::Nothing }
    };
    match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
        (Ok(from), Ok(last)) if from <= last => part(from, last.saturating_add(1).min(len)),
        (Ok(from), Err(_)) if to.trim().is_empty() => part(from, len),
        (Err(_), Ok(last)) if from.trim().is_empty() => part(len.saturating_sub(last), len),
        _ => Wanted::All,
    }
}

fn pieces(
    source: Arc<Source>,
    name: Hash,
    from: u64,
    len: u64,
) -> impl Stream<Item = Result<Bytes, StoreError>> {
    stream::unfold(Some((source, name, from, len)), async |state| {
        let (source, name, at, left) = state.filter(|(_, _, _, left)| *left > 0)?;
        let max = usize::try_from(left.min(PIECE)).unwrap_or(0);
        let reading = source.clone();
        let read = blocking(move || reading.log.objects().read(name, at, max));
        match read.await.ok()? {
            Ok(piece) if !piece.is_empty() => {
                let len = piece.len() as u64;
                sent_object(&source.name, piece.len());
                Some((Ok(piece), Some((source, name, at + len, left - len))))
            }
            Ok(_) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (range, expected) in [
            ("bytes=0-9", Wanted::Part { from: 0, to: 10 }),
            ("bytes=90-", Wanted::Part { from: 90, to: 100 }),
            ("bytes=90-1000", Wanted::Part { from: 90, to: 100 }),
            ("bytes=-10", Wanted::Part { from: 90, to: 100 }),
            ("bytes=-1000", Wanted::Part { from: 0, to: 100 }),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=9-1", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("bytes=x-1", Wanted::All),
        ] {
            assert_eq!(wanted(range, 100), expected, "{range}");
        }
    }
}
