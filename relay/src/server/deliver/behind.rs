use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use wire::Behind;

use super::{
    pull::{PullQuery, asked, check_lineage, read_error},
    reported,
};
use crate::{
    access::Action,
    server::{
        access::tell_channels,
        app::{App, blocking},
        ops::lag_seconds,
        params::{Asked, Names},
        problem::Refused,
    },
};

/// `GET /v1/{source}/behind`: refuses what a pull would.
pub(in crate::server) async fn behind(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    Asked(query): Asked<PullQuery>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let access = app.grant(&headers, Action::Pull)?;
    let source = app.source(&source)?;
    let pull = asked(&query, &access, &headers)?;
    check_lineage(&source, reported::lineage(&headers)?)?;
    let now = app.clock.now();
    let behind = blocking(move || {
        let found = source.log.lacking(&pull).map_err(|error| read_error(&source, error))?;
        let standing = source.log.standing();
        let head = standing.head.unwrap_or(pull.after).max(pull.after);
        Ok::<_, Refused>(Behind {
            lineage: standing.lineage,
            head,
            lag_bytes: head.bytes_since(pull.after),
            lag_seconds: lag_seconds(&source, pull.after, now),
            least_transactions: found.least,
            most_transactions: (!found.has_more).then_some(found.most),
            fetch_bytes: found.fetch_bytes,
        })
    });
    let mut answer = Json(behind.await??).into_response();
    tell_channels(&mut answer, &access);
    Ok(answer)
}
