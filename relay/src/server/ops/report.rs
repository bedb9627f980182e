use std::sync::Arc;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use hyper::StatusCode;
use wire::{ProblemKind, Report, SourceList, TerminalName};

use crate::{
    access::Action,
    log::Refusal,
    server::{
        app::{App, blocking},
        body::{claimed_len, read_whole},
        params::Names,
        problem::Refused,
    },
};

/// A report is small.
const LIMIT: u64 = 64 << 10;

/// `POST /v1/{source}/report`.
pub(in crate::server) async fn report(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refused> {
    let (json, _permit) = read_whole(&app, claimed_len(&headers), body, LIMIT).await?;
    let report: Report = serde_json::from_slice(&json)
        .map_err(|error| Refused::bad_request(format!("the report: {error}")))?;
    let act = match report {
        Report::Terminal(_) => Action::ReportTerminal,
        Report::Capture(_) => Action::ReportCapture,
    };
    app.grant(&headers, act)?;
    let source = app.source(&source)?;
    match report {
        Report::Terminal(report) => source
            .fleet()
            .terminal_report(&report, app.clock.now())
            .map_err(|full| Refused::new(ProblemKind::Unavailable, full.to_string()))?,
        Report::Capture(report) => {
            // A capture that was taken over does not speak for the source any more.
            let (session, newest) = (report.session, source.log.standing().session);
            let current = session == 0 || session >= newest;
            if !current || !source.fleet().capture_report(&report, app.clock.now()) {
                return Err(Refusal::Fenced { session, newest }.into());
            }
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/sources`.
pub(in crate::server) async fn sources(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Json<SourceList>, Refused> {
    app.grant(&headers, Action::ListSources)?;
    let sources = app.sources.all().into_iter().map(|(name, _)| name).collect();
    Ok(Json(SourceList { sources }))
}

/// `DELETE /v1/{source}/terminals/{name}`.
pub(in crate::server) async fn forget(
    State(app): State<Arc<App>>,
    Names((source, name)): Names<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Refused> {
    app.grant(&headers, Action::ForgetTerminal)?;
    let source = app.source(&source)?;
    let name = TerminalName::new(&name).map_err(|error| Refused::bad_request(error.to_string()))?;
    let forgetting = name.clone();
    if blocking(move || source.forget(&forgetting)).await?? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let detail = format!("there is no terminal '{name}' of this source; GET lag lists them");
    Err(Refused::new(ProblemKind::NotFound, detail))
}
