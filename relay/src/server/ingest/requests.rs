use std::sync::Arc;

use axum::{extract::State, http::HeaderMap};
use hyper::StatusCode;
use serde::Deserialize;

use crate::{
    access::Action,
    server::{
        app::App,
        params::{Asked, Names},
        problem::Refused,
        wait::bounded,
    },
};

/// The query of a poll for requests.
#[derive(Debug, Deserialize)]
pub(in crate::server) struct RequestsQuery {
    /// Seconds.
    wait: Option<f64>,
}

/// `GET /v1/{source}/requests`: this relay asks nothing of capture yet, so the poll runs out.
pub(in crate::server) async fn requests(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    Asked(query): Asked<RequestsQuery>,
    headers: HeaderMap,
) -> Result<StatusCode, Refused> {
    app.grant(&headers, Action::TakeRequests)?;
    let source = app.source(&source)?;
    source.fleet().capture_contact(app.clock.now());
    tokio::select! {
        () = tokio::time::sleep(bounded(query.wait)) => {}
        () = app.stopping.cancelled() => {}
    }
    Ok(StatusCode::NO_CONTENT)
}
