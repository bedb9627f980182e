//! Paths and queries whose errors are problems like all others.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::problem::Refused;

/// The names in the path.
pub(super) struct Names<T>(pub(super) T);

/// The query.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Names<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let found = Path::from_request_parts(parts, state).await;
        found
            .map(|Path(names)| Self(names))
            .map_err(|error| Refused::bad_request(error.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let found = Query::from_request_parts(parts, state).await;
        found
            .map(|Query(asked)| Self(asked))
            .map_err(|error| Refused::bad_request(error.body_text()))
    }
}
