use std::sync::Arc;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use wire::{ChannelHashes, SessionAnswer, SessionRequest};

use crate::{
    access::Action,
    server::{
        app::{App, blocking, parse_source},
        body::{claimed_len, read_whole},
        params::Names,
        problem::Refused,
    },
};

/// A request's JSON is small.
const LIMIT: u64 = 64 << 10;

/// `POST /v1/{source}/session`.
pub(in crate::server) async fn open_session(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SessionAnswer>, Refused> {
    app.grant(&headers, Action::OpenSession)?;
    let name = parse_source(&source)?;
    let (json, _permit) = read_whole(&app, claimed_len(&headers), body, LIMIT).await?;
    let request: SessionRequest = serde_json::from_slice(&json)
        .map_err(|error| Refused::bad_request(format!("the session request: {error}")))?;
    let found = match app.sources.get(&name) {
        None if !request.begin => return Ok(Json(nothing())),
        None => {
            let (app, facts) = (app.clone(), request.facts.clone());
            blocking(move || app.sources.begin(&name, &facts)).await??
        }
        Some(found) => found,
    };
    let source = found.map_err(|error| Refused::from(&*error))?;
    let answer = source.log.open_session(request).await?;
    source.fleet().capture_contact(app.clock.now());
    tracing::info!(source = %source.name, session = answer.session, head = ?answer.head, "session opened");
    Ok(Json(answer))
}

fn nothing() -> SessionAnswer {
    SessionAnswer {
        session: 0,
        lineage: None,
        head: None,
        horizon: None,
        hashes: ChannelHashes::default(),
        channel_map: None,
        known: None,
        facts: None,
        snapshot: None,
    }
}
