use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use hyper::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;
use wire::{Lsn, ProblemKind, Request, RequestAnswer, RequestList};

use crate::{
    access::Action,
    log::Refusal,
    server::{
        app::{App, blocking},
        body::{claimed_len, read_whole},
        ops::lag_of,
        params::{Asked, Names},
        problem::Refused,
        wait::{Woken, bounded, wait_for_change},
    },
};

/// A request is small.
const LIMIT: u64 = 4 << 10;

/// The query of a poll for requests.
#[derive(Debug, Deserialize)]
pub(in crate::server) struct RequestsQuery {
    /// Seconds.
    wait: Option<f64>,
}

/// `GET /v1/{source}/requests`.
pub(in crate::server) async fn requests(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    Asked(query): Asked<RequestsQuery>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    app.grant(&headers, Action::TakeRequests)?;
    let source = app.source(&source)?;
    source.fleet().capture_contact(app.clock.now());
    let deadline = Instant::now() + bounded(query.wait);
    let mut changes = source.requests.watch();
    loop {
        let requests = source.requests.wanted();
        if !requests.is_empty() {
            return Ok(Json(RequestList { requests }).into_response());
        }
        if wait_for_change(&mut changes, deadline, &app.stopping).await == Woken::Over {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
}

/// The query of a request.
#[derive(Debug, Deserialize)]
pub(in crate::server) struct FromQuery {
    /// A snapshot from there on does, also one that is there or coming.
    from: Option<Lsn>,
}

/// `POST /v1/{source}/requests`.
pub(in crate::server) async fn make_request(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    Asked(query): Asked<FromQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<RequestAnswer>), Refused> {
    let action = if query.from.is_some() { Action::AskSnapshot } else { Action::MakeRequest };
    app.grant(&headers, action)?;
    let source = app.source(&source)?;
    let (json, _permit) = read_whole(&app, claimed_len(&headers), body, LIMIT).await?;
    let request: Request = serde_json::from_slice(&json)
        .map_err(|error| Refused::bad_request(format!("the request: {error}")))?;
    let standing = source.log.standing();
    if let Some(damage) = &standing.damage {
        return Err(Refusal::Damaged(damage.clone()).into());
    }
    let head = standing.head.ok_or_else(|| {
        let detail = "the first copy of this source is not complete: its snapshot is on its way";
        Refused::new(ProblemKind::Unavailable, detail)
    })?;
    let (reading, now) = (source.clone(), app.clock.now());
    let (newest, capture) =
        blocking(move || (reading.log.newest_snapshot(), lag_of(&reading, now).capture.state))
            .await?;
    let (Request::Snapshot, newest) = (request, newest?);
    // From beyond the log none can be wanted yet.
    let from = query.from.unwrap_or(head).min(head);
    let is_there = query.from.is_some_and(|asked| newest >= Some(asked) || asked > head);
    if !is_there && source.requests.want_snapshot(from) {
        tracing::info!(source = %source.name, %from, "a snapshot is wanted");
    }
    Ok((StatusCode::ACCEPTED, Json(RequestAnswer { head, newest, capture })))
}
