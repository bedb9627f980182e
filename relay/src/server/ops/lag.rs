use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use wire::{Lag, Lsn};

use crate::{
    access::Action,
    fleet::{LogFacts, Moment},
    server::{
        app::{App, blocking},
        params::Names,
        problem::Refused,
    },
    sources::Source,
};

/// `GET /v1/{source}/lag`.
pub(in crate::server) async fn lag(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    headers: HeaderMap,
) -> Result<Json<Lag>, Refused> {
    app.grant(&headers, Action::ReadLag)?;
    let source = app.source(&source)?;
    let now = app.clock.now();
    Ok(Json(blocking(move || lag_of(&source, now)).await?))
}

/// The source's lag. Blocks.
pub(in crate::server) fn lag_of(source: &Source, now: Moment) -> Lag {
    let facts = facts(source);
    // A copy, so that looking into the log keeps no report waiting.
    let fleet = source.fleet().clone();
    fleet.lag(&facts, |lsn| source.log.commit_after(lsn).ok().flatten(), now)
}

/// Seconds since the oldest commit behind a position of the source's log. Blocks.
pub(in crate::server) fn lag_seconds(source: &Source, position: Lsn, now: Moment) -> f64 {
    let facts = facts(source);
    let fleet = source.fleet().clone();
    fleet.lag_seconds(position, &facts, |lsn| source.log.commit_after(lsn).ok().flatten(), now)
}

fn facts(source: &Source) -> LogFacts {
    let standing = source.log.standing();
    LogFacts {
        source: source.name.clone(),
        lineage: standing.lineage,
        succeeds: standing.succeeded_lineages(),
        head: standing.head,
        horizon: standing.horizon,
        log_bytes: source.log.disk_bytes(),
        slot: Some(standing.facts.slot.clone()).filter(|slot| !slot.is_empty()),
    }
}
