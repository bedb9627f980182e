use std::sync::Arc;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use wire::{ObjectHeader, ObjectKind, ProblemKind, UploadAnswer};

use super::{
    check::{CheckError, check},
    headers::session,
};
use crate::{
    access::Action,
    log::{Changes, Spool, StoreError, Upload, UploadKind},
    server::{
        app::{App, blocking},
        body::{Pieces, claimed_len, too_large},
        metrics::received_object,
        params::Names,
        problem::Refused,
    },
    sources::Source,
};

/// The largest object: 1.2 GiB.
const LIMIT: u64 = 1_288_490_188;
/// Bytes gathered before they are written.
const GATHER: usize = 256 << 10;

impl From<CheckError> for Refused {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Malformed(_) => Self::new(ProblemKind::Malformed, error.to_string()),
            CheckError::Store(error) => error.into(),
        }
    }
}

/// `POST /v1/{source}/objects`.
pub(in crate::server) async fn upload(
    State(app): State<Arc<App>>,
    Names(source): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<UploadAnswer>, Refused> {
    app.grant(&headers, Action::UploadObject)?;
    let source = app.source(&source)?;
    let session = session(&headers)?;
    check_session(&source, session)?;
    if claimed_len(&headers).is_some_and(|len| len > LIMIT) {
        return Err(too_large(LIMIT));
    }
    let (spool, len) = spool(&app, &source, body).await?;
    let permit = app.checks.clone().acquire_owned().await;
    let _permit = permit.map_err(|error| Refused::internal(error.to_string()))?;
    source.fleet().capture_contact(app.clock.now());
    received_object(&source.name, len);
    let answer = blocking(move || keep(&source, session, spool, len)).await??;
    Ok(Json(answer))
}

fn check_session(source: &Source, session: u64) -> Result<(), Refused> {
    let standing = source.log.standing();
    standing.check_session(session)?;
    match &standing.damage {
        Some(damage) => Err(crate::log::Refusal::Damaged(damage.clone()).into()),
        None => Ok(()),
    }
}

async fn spool(
    app: &App,
    source: &Arc<Source>,
    body: Body,
) -> Result<(Box<dyn Spool>, u64), Refused> {
    let begun = source.clone();
    let mut spool = blocking(move || begun.log.objects().spool()).await??;
    let mut pieces = Pieces::new(body, LIMIT, app.settings.body_timeout);
    let mut gathered = Vec::with_capacity(GATHER);
    let mut len = 0;
    loop {
        let piece = pieces.next().await?;
        let ended = piece.is_none();
        gathered.extend_from_slice(&piece.unwrap_or_default());
        if gathered.len() >= GATHER || ended {
            len += gathered.len() as u64;
            (spool, gathered) = blocking(move || {
                let written = spool.write_all(&gathered);
                gathered.clear();
                written.map(|()| (spool, gathered))
            })
            .await?
            .map_err(|error| StoreError::io("objects/tmp", error))?;
        }
        if ended {
            return Ok((spool, len));
        }
    }
}

fn keep(
    source: &Source,
    session: u64,
    spool: Box<dyn Spool>,
    len: u64,
) -> Result<UploadAnswer, Refused> {
    let (header, name) = check(&*spool, len)?;
    let kind = check_header(source, session, &header)?;
    // Again, now that it is about to be stored: what an older session leaves is swept only once.
    check_session(source, session)?;
    let objects = source.log.objects();
    if objects.len(name)? != Some(len) {
        let mut note = Changes::new();
        note.upload(name, Upload { kind, session })?;
        source.log.catalog().write(note)?;
    }
    spool.keep(name)?;
    Ok(UploadAnswer { name, len })
}

fn check_header(
    source: &Source,
    session: u64,
    header: &ObjectHeader,
) -> Result<UploadKind, Refused> {
    let malformed = |detail: String| Err(Refused::new(ProblemKind::Malformed, detail));
    let standing = source.log.standing();
    if header.source != source.name {
        return malformed(format!(
            "the object is of source '{}', not of '{}'",
            header.source, source.name
        ));
    }
    if header.lineage != standing.lineage {
        let (ours, theirs) = (standing.lineage, header.lineage);
        return Err(crate::log::Refusal::OtherLineage { ours, theirs }.into());
    }
    match &header.kind {
        ObjectKind::Snapshot { .. } => Ok(UploadKind::Snapshot),
        ObjectKind::Transaction { session: theirs, .. } if *theirs == session => {
            Ok(UploadKind::Transaction)
        }
        ObjectKind::Transaction { session: theirs, .. } => {
            malformed(format!("the part is of session {theirs}, the request of {session}"))
        }
        ObjectKind::Log { .. } => {
            malformed("objects of the log are made by the relay; append slices".to_owned())
        }
    }
}
