use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use hyper::{StatusCode, header};
use wire::{Lsn, PROBLEM_TYPE, Problem, ProblemKind, SourceName};

use super::metrics::refused;
use crate::{
    access::Denied,
    log::{ReadError, Refusal, StoreError},
};

/// A request that is answered with a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) Problem);

impl Refused {
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self(Problem::new(kind, detail))
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::BadRequest, detail)
    }

    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Internal, detail)
    }

    pub(super) fn unknown_source(name: &SourceName) -> Self {
        Self::new(
            ProblemKind::UnknownSource,
            format!(
                "this relay has no source '{name}': GET /v1/sources lists those it has; a capture with --name {name} begins it"
            ),
        )
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        refused(self.0.kind);
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = Response::new(Body::from(serde_json::to_vec(&self.0).unwrap_or_default()));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(PROBLEM_TYPE));
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            let bearer = header::HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        answer
    }
}

fn with_lsn(kind: ProblemKind, detail: String, lsn: Option<Lsn>) -> Refused {
    Refused(Problem { lsn, ..Problem::new(kind, detail) })
}

fn with_head(kind: ProblemKind, detail: String, head: Lsn) -> Refused {
    Refused(Problem { head: Some(head), ..Problem::new(kind, detail) })
}

impl From<&StoreError> for Refused {
    fn from(error: &StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Full { .. } => Self::new(ProblemKind::StorageFull, detail),
            StoreError::Corrupt { lsn, .. } => with_lsn(ProblemKind::Corrupt, detail, *lsn),
            StoreError::Moved { .. } | StoreError::Locked { .. } => {
                Self::new(ProblemKind::Unavailable, detail)
            }
            StoreError::Io { .. } | StoreError::Engine { .. } => Self::internal(detail),
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Fenced { .. } => Self::new(ProblemKind::Fenced, detail),
            Refusal::Gap { head, .. } => with_head(ProblemKind::Gap, detail, head),
            Refusal::NotBegun => Self::new(ProblemKind::Gap, detail),
            Refusal::Chain { after, .. } => with_lsn(ProblemKind::Chain, detail, Some(after)),
            Refusal::OtherLineage { .. } => Self::new(ProblemKind::OtherLineage, detail),
            Refusal::OtherMaster(_) => Self::new(ProblemKind::OtherMaster, detail),
            Refusal::Malformed(_) => Self::new(ProblemKind::Malformed, detail),
            Refusal::Damaged(damage) => with_lsn(ProblemKind::Corrupt, detail, Some(damage.lsn)),
            Refusal::Store(error) => Self::from(&*error),
            Refusal::Unavailable(_) => Self::new(ProblemKind::Unavailable, detail),
        }
    }
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        let detail = error.to_string();
        match error {
            ReadError::NotBegun => Self::new(ProblemKind::Unavailable, detail),
            ReadError::OtherLineage { .. } => Self::new(ProblemKind::OtherLineage, detail),
            ReadError::Succeeded { .. } => Self::new(ProblemKind::Succeeded, detail),
            ReadError::OtherHistory { lsn, .. } => {
                with_lsn(ProblemKind::OtherHistory, detail, Some(lsn))
            }
            ReadError::BehindYou { head, .. } => with_head(ProblemKind::BehindYou, detail, head),
            ReadError::Expired { horizon, .. } => Self(Problem {
                horizon: Some(horizon),
                ..Problem::new(ProblemKind::Expired, detail)
            }),
            ReadError::Damaged(damage) => with_lsn(ProblemKind::Corrupt, detail, Some(damage.lsn)),
            ReadError::Store(error) => Self::from(&error),
        }
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self(denied.problem())
    }
}
