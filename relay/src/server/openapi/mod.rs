//! `GET /openapi.json`: the interface described, from one table of operations and the schemas of
//! the JSON bodies.

mod build;
mod operations;
#[cfg(test)]
mod tests;

use axum::response::{IntoResponse, Response};
use hyper::header;

use super::problem::Refused;

/// `GET /openapi.json`.
pub(super) async fn answer() -> Result<Response, Refused> {
    let document = build::document().map_err(|error| Refused::internal(error.to_string()))?;
    let text = document.to_json().map_err(|error| Refused::internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}
