use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper::{StatusCode, header};
use serde::Deserialize;
use tokio::time::Instant;
use wire::{Lineage, Lsn, MANIFEST_TYPE, Problem, SLICES_TYPE, headers};

use super::{link::Links, manifest::manifest, reported};
use crate::{
    access::{Access, Action},
    log::{Planned, Pull, ReadError, SliceReader, Standing, StoreError},
    server::{
        access::{channels, tell_channels},
        app::{App, blocking, unix_seconds},
        metrics::{Waiting, pulled, sent_slices},
        params::{Asked, Names},
        problem::Refused,
        wait::{Woken, bounded, wait_for_change},
    },
    sources::Source,
};

/// `limit` where none is given, bytes.
const DEFAULT_LIMIT: u64 = 16 << 20;
/// The largest `limit`, bytes.
const MOST_LIMIT: u64 = 64 << 20;
/// News that hold nothing for the terminal's channels are told at most this often.
const PROGRESS_PAUSE: Duration = Duration::from_secs(1);

/// The query of a pull.
#[derive(Debug, Deserialize)]
pub(in crate::server) struct PullQuery {
    after: Option<String>,
    channels: Option<String>,
    limit: Option<u64>,
    /// Seconds.
    wait: Option<f64>,
}

/// `GET /v1/{source}/log`.
pub(in crate::server) async fn pull(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    Asked(query): Asked<PullQuery>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let access = app.grant(&headers, Action::Pull)?;
    let source = app.source(&source)?;
    let pull = asked(&query, &access, &headers)?;
    let lineage = reported::lineage(&headers)?;
    if let Some(report) = reported::report(&headers, lineage)? {
        let told = source.fleet().terminal_report(&report, app.clock.now());
        if let Err(full) = told {
            tracing::warn!(source = %source.name, "{full}");
        }
    }
    check_lineage(&source, lineage)?;
    let planned = plan_patiently(&app, &source, pull.clone(), bounded(query.wait)).await?;
    // A token that was revoked during the wait gets nothing any more.
    app.grant(&headers, Action::Pull)?;
    let mut answer = answer(&source, &pull, planned, unix_seconds(app.clock.now()));
    tell_channels(&mut answer, &access);
    Ok(answer)
}

/// What is asked for, which the token must allow.
pub(super) fn asked(
    query: &PullQuery,
    access: &Access,
    headers: &HeaderMap,
) -> Result<Pull, Refused> {
    let after = query.after.as_deref().ok_or_else(|| {
        Refused::bad_request(
            "the parameter after=LSN is missing: the position that was applied last",
        )
    })?;
    let pull = Pull {
        after: after.parse::<Lsn>().map_err(|error| Refused::bad_request(error.to_string()))?,
        channels: channels(access, query.channels.as_deref())?,
        limit_bytes: query.limit.unwrap_or(DEFAULT_LIMIT).min(MOST_LIMIT),
        hashes: reported::hashes(headers)?,
    };
    access.require_loaded(pull.hashes.iter().map(|(channel, _)| channel))?;
    Ok(pull)
}

/// Refuses who follows another history.
pub(super) fn check_lineage(source: &Source, lineage: Option<Lineage>) -> Result<(), Refused> {
    let standing = source.log.standing();
    match lineage.filter(|theirs| *theirs != standing.lineage) {
        Some(theirs) => Err(ReadError::of_lineage(&standing, theirs).into()),
        None => Ok(()),
    }
}

/// Plans the answer; where there is none yet, waits for it.
async fn plan_patiently(
    app: &App,
    source: &Arc<Source>,
    pull: Pull,
    wait: Duration,
) -> Result<Planned, Refused> {
    let _waiting = Waiting::begin();
    let mut changes = source.log.watch();
    let end = Instant::now() + wait;
    let mut deadline = end;
    let mut told_progress = false;
    loop {
        changes.mark_unchanged();
        let planned = match source.log.plan_in_memory(&pull) {
            Ok(Some(planned)) => Ok(planned),
            Ok(None) => {
                let (planning, pull) = (source.clone(), pull.clone());
                blocking(move || planning.log.plan(&pull)).await?
            }
            Err(error) => Err(error),
        };
        let planned = planned.map_err(|error| read_error(source, error))?;
        match &planned {
            Planned::Nothing => {}
            Planned::Slices { has_changes: false, .. } => {
                // What comes next may hold changes for it: better one answer than two.
                if !told_progress {
                    told_progress = true;
                    deadline = end.min(Instant::now() + PROGRESS_PAUSE);
                }
            }
            _ => return Ok(planned),
        }
        if Instant::now() >= deadline
            || wait_for_change(&mut changes, deadline, &app.stopping).await == Woken::Over
        {
            return Ok(planned);
        }
    }
}

pub(super) fn read_error(source: &Source, error: ReadError) -> Refused {
    let newest = match &error {
        ReadError::Expired { .. } => source.log.newest_snapshot(),
        _ => return error.into(),
    };
    let Refused(problem) = error.into();
    Refused(Problem { lsn: newest.ok().flatten(), ..problem })
}

fn answer(source: &Source, pull: &Pull, planned: Planned, now_unix: u64) -> Response {
    let standing = source.log.standing();
    pulled(
        &source.name,
        match &planned {
            Planned::Nothing => "nothing",
            Planned::Slices { .. } => "slices",
            Planned::Ranges { .. } => "manifest",
        },
    );
    let (mut answer, through) = match planned {
        Planned::Nothing => (StatusCode::NO_CONTENT.into_response(), pull.after),
        Planned::Slices { through, reader, .. } => {
            let body = Body::from_stream(pieces(reader, standing.clone()));
            (([(header::CONTENT_TYPE, SLICES_TYPE)], body).into_response(), through)
        }
        Planned::Ranges { through, ranges } => {
            let links = Links::new(&standing, now_unix);
            let manifest = manifest(&standing, &ranges, &pull.channels, &links);
            let mut answer = Json(manifest).into_response();
            let kind = HeaderValue::from_static(MANIFEST_TYPE);
            answer.headers_mut().insert(header::CONTENT_TYPE, kind);
            (answer, through)
        }
    };
    let head = standing.head.unwrap_or(through).max(through);
    let values = [
        (headers::LINEAGE, standing.lineage.to_string()),
        (headers::HEAD, head.to_string()),
        (headers::THROUGH, through.to_string()),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
    let private = HeaderValue::from_static("no-store, private");
    answer.headers_mut().insert(header::CACHE_CONTROL, private);
    answer
}

/// The slices' bytes; what must come from the disk is read off the runtime's threads.
fn pieces(
    reader: SliceReader,
    standing: Arc<Standing>,
) -> impl Stream<Item = Result<Bytes, StoreError>> {
    stream::unfold(Some((reader, standing)), async |state| {
        let (mut reader, standing) = state?;
        let (reader, piece) = if reader.is_ready() {
            let piece = reader.next_piece();
            (reader, piece)
        } else {
            let read = blocking(move || {
                let piece = reader.next_piece();
                (reader, piece)
            });
            read.await.ok()?
        };
        match piece {
            Ok(piece) => {
                let piece = piece?;
                sent_slices(&standing.source, piece.len());
                Some((Ok(piece), Some((reader, standing))))
            }
            Err(error) => {
                tracing::warn!(source = %standing.source, %error, "an answer is broken off");
                Some((Err(error), None))
            }
        }
    })
}
