use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use hyper::header;
use serde::Deserialize;
use wire::{ChannelName, Sequence, Snapshot, SnapshotList, headers};

use super::link::Links;
use crate::{
    access::Action,
    log::{Channels, MOST_SNAPSHOTS, StoreError},
    server::{
        access::{channels, tell_channels},
        app::{App, blocking, unix_seconds},
        ops::lag_of,
        params::{Asked, Names},
        problem::Refused,
    },
    sources::Source,
};

/// The query for snapshots.
#[derive(Debug, Deserialize)]
pub(in crate::server) struct SnapshotQuery {
    channels: Option<String>,
}

/// `GET /v1/{source}/snapshot`.
pub(in crate::server) async fn snapshots(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    Asked(query): Asked<SnapshotQuery>,
    request: HeaderMap,
) -> Result<Response, Refused> {
    let access = app.grant(&request, Action::ReadSnapshot)?;
    let source = app.source(&source)?;
    let channels = channels(&access, query.channels.as_deref())?;
    let (reading, now) = (source.clone(), app.clock.now());
    let (list, capture) = blocking(move || {
        let list = list(&reading, &channels, unix_seconds(now));
        list.map(|list| (list, lag_of(&reading, now).capture.state))
    })
    .await??;
    let mut answer = Json(list).into_response();
    let lineage = HeaderValue::from_str(&source.log.standing().lineage.to_string());
    if let Ok(lineage) = lineage {
        answer.headers_mut().insert(headers::LINEAGE, lineage);
    }
    tell_channels(&mut answer, &access);
    // The name that JSON gives it.
    let capture = serde_json::to_value(capture).unwrap_or_default();
    if let Ok(capture) = HeaderValue::from_str(capture.as_str().unwrap_or_default()) {
        answer.headers_mut().insert(headers::CAPTURE, capture);
    }
    let private = HeaderValue::from_static("no-store, private");
    answer.headers_mut().insert(header::CACHE_CONTROL, private);
    Ok(answer)
}

fn list(source: &Source, channels: &Channels, now_unix: u64) -> Result<SnapshotList, StoreError> {
    let standing = source.log.standing();
    let links = Links::new(&standing, now_unix);
    let mut snapshots = Vec::new();
    for lsn in source.log.snapshot_positions()?.into_iter().rev().take(MOST_SNAPSHOTS) {
        if let Some(snapshot) = source.log.catalog().snapshot(lsn)? {
            snapshots.push(for_reader(snapshot, channels, &links));
        }
    }
    Ok(SnapshotList { snapshots, succeeds: standing.succeeded_lineages() })
}

/// The snapshot with the reader's channels only, and with URLs.
fn for_reader(mut snapshot: Snapshot, channels: &Channels, links: &Links) -> Snapshot {
    snapshot.tables.retain(|table| channels.keep(&table.channel));
    snapshot.hashes = snapshot.hashes.filtered(|channel: &ChannelName| channels.keep(channel));
    let map = &snapshot.channel_map;
    let definitions = &mut snapshot.definitions;
    definitions
        .tables
        .retain(|table| channels.keep(&map.channel(table.oid, &table.schema, &table.name)));
    let tables = &definitions.tables;
    definitions.sequences.retain(|Sequence { column: (schema, name, _), .. }| {
        tables.iter().any(|table| table.schema == *schema && table.name == *name)
    });
    let lsn = snapshot.lsn;
    for object in snapshot.tables.iter_mut().flat_map(|table| &mut table.objects) {
        object.url = Some(links.to_snapshot(object.name, lsn));
    }
    snapshot
}
