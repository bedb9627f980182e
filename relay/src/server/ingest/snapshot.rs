use std::sync::Arc;

use axum::{body::Body, extract::State, http::HeaderMap};
use hyper::StatusCode;
use wire::Snapshot;

use super::headers::session;
use crate::{
    access::Action,
    server::{
        app::App,
        body::{claimed_len, read_whole},
        params::Names,
        problem::Refused,
    },
};

/// The largest snapshot document: 32 MiB, some ten thousand tables.
const LIMIT: u64 = 32 << 20;

/// `POST /v1/{source}/snapshot`.
pub(in crate::server) async fn add_snapshot(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refused> {
    app.grant(&headers, Action::PublishSnapshot)?;
    let source = app.source(&source)?;
    let session = session(&headers)?;
    let (json, _permit) = read_whole(&app, claimed_len(&headers), body, LIMIT).await?;
    let snapshot: Snapshot = serde_json::from_slice(&json)
        .map_err(|error| Refused::bad_request(format!("the snapshot: {error}")))?;
    let (lsn, tables) = (snapshot.lsn, snapshot.tables.len());
    source.log.add_snapshot(session, snapshot).await?;
    source.requests.snapshot_came(lsn);
    source.fleet().capture_contact(app.clock.now());
    tracing::info!(source = %source.name, %lsn, tables, "snapshot complete");
    Ok(StatusCode::OK)
}
