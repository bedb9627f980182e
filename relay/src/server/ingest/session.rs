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
        None if request.succeed.is_some() => return Err(Refused::unknown_source(&name)),
        None if !request.begin => return Ok(Json(nothing())),
        None => {
            let (app, facts) = (app.clone(), request.facts.clone());
            blocking(move || app.sources.begin(&name, &facts)).await??
        }
        Some(found) => found,
    };
    let mut source = found.map_err(|error| Refused::from(&*error))?;
    if source.log.standing().succeeded.is_some() {
        let app = app.clone();
        let found = blocking(move || app.sources.living(&source)).await?;
        source = found.map_err(|error| Refused::from(&*error))?;
    }
    if let Some(succession) = request.succeed.clone() {
        let (app, old, facts) = (app.clone(), source.clone(), request.facts.clone());
        let found = blocking(move || app.sources.succeed(&old, &succession, &facts)).await??;
        source = found.map_err(|error| Refused::from(&*error))?;
    }
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
        succeeds: Vec::new(),
    }
}
