use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use hyper::header;

use super::lag::lag_of;
use crate::server::{
    app::{App, blocking},
    metrics::{connections, damaged, recorder, sealing_fails, slot_room, standing},
    problem::Refused,
};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`. Open, as scrapers expect; it names sources, no terminals.
pub(in crate::server) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Refused> {
    let Some(recorder) = recorder() else {
        return Err(Refused::internal("this process counts elsewhere: its recorder was taken"));
    };
    connections(app.open_connections());
    let now = app.clock.now();
    blocking(move || {
        for (name, opened) in app.sources.all() {
            let Ok(source) = opened else {
                damaged(&name, true);
                continue;
            };
            damaged(&name, source.log.standing().damage.is_some());
            sealing_fails(&name, source.log.seal_error().is_some());
            standing(&lag_of(&source, now));
            slot_room(&name, source.fleet().slot_room(now));
        }
    })
    .await?;
    Ok(([(header::CONTENT_TYPE, TEXT)], recorder.render()).into_response())
}
