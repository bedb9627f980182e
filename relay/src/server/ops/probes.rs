use std::sync::Arc;

use axum::extract::State;
use hyper::StatusCode;

use crate::server::app::App;

/// `GET /healthz`: the process is alive.
pub(in crate::server) async fn healthz() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: it serves; or what it does not serve.
pub(in crate::server) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, String) {
    if app.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    }
    let all = app.sources.all();
    let broken = all.iter().filter_map(|(name, opened)| match opened {
        Ok(source) => source.log.standing().damage.as_ref().map(|_| name.as_str().to_owned()),
        Err(_) => Some(name.as_str().to_owned()),
    });
    let broken: Vec<String> = broken.collect();
    if broken.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    // Which source, but not what is in it: this is open to everyone.
    let detail = format!("damaged, see the relay's log: {}\n", broken.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, detail)
}
