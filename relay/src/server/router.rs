use std::sync::Arc;

use axum::{
    Router,
    routing::{delete, get, post},
};

use super::{app::App, deliver, ingest, openapi, ops, problem::Refused};

/// Every path of the interface.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/{source}/session", post(ingest::open_session))
        .route("/v1/{source}/log", post(ingest::append).get(deliver::pull))
        .route("/v1/{source}/behind", get(deliver::behind))
        .route("/v1/{source}/objects", post(ingest::upload))
        .route("/v1/{source}/objects/{name}", get(deliver::download))
        .route("/v1/{source}/snapshot", post(ingest::add_snapshot).get(deliver::snapshots))
        .route("/v1/{source}/report", post(ops::report))
        .route("/v1/{source}/requests", get(ingest::requests).post(ingest::make_request))
        .route("/v1/{source}/lag", get(ops::lag))
        .route("/v1/{source}/terminals/{name}", delete(ops::forget))
        .route("/v1/sources", get(ops::sources))
        .route("/", get(ops::page))
        .route("/metrics", get(ops::metrics))
        .route("/openapi.json", get(openapi::answer))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

async fn nothing_here(uri: axum::http::Uri) -> Refused {
    let detail = format!("there is nothing at {}; /openapi.json lists what there is", uri.path());
    Refused::new(wire::ProblemKind::NotFound, detail)
}

async fn wrong_method(uri: axum::http::Uri) -> Refused {
    Refused::bad_request(format!("{} does not take this method; see /openapi.json", uri.path()))
}
