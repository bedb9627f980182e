use std::{sync::Arc, time::Instant};

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use wire::{AppendAnswer, ProblemKind, Slice};

use super::headers::session;
use crate::{
    access::Action,
    server::{
        app::{App, blocking},
        body::{claimed_len, read_whole},
        metrics::appended,
        params::Names,
        problem::Refused,
    },
};

/// The largest slice: 64 MiB.
const LIMIT: u64 = 64 << 20;

/// `POST /v1/{source}/log`.
pub(in crate::server) async fn append(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<AppendAnswer>, Refused> {
    app.grant(&headers, Action::Append)?;
    let source = app.source(&source)?;
    let session = session(&headers)?;
    let (bytes, _permit) = read_whole(&app, claimed_len(&headers), body, LIMIT).await?;
    let slice = blocking(move || {
        let slice = Slice::decode(bytes)?;
        slice.check().map(|()| slice)
    })
    .await?
    .map_err(|error| Refused::new(ProblemKind::Malformed, error.to_string()))?;
    let (header, bytes, began) = (slice.header().clone(), slice.bytes().len(), Instant::now());
    let durable = source.log.append(session, slice).await?;
    appended(&source.name, bytes, began.elapsed());
    source.fleet().appended(&header, app.clock.now());
    Ok(Json(AppendAnswer { durable }))
}
