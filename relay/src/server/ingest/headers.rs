use axum::http::HeaderMap;
use wire::headers;

use crate::server::problem::Refused;

/// The session number that a request carries.
pub(super) fn session(request: &HeaderMap) -> Result<u64, Refused> {
    let session = request.get(headers::SESSION).and_then(|value| value.to_str().ok());
    session.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Refused::bad_request(
            "the header Tailwater-Session with the session's number is missing: open a session first",
        )
    })
}
