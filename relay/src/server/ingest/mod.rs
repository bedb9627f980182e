//! Capture's side.

mod append;
mod check;
mod headers;
mod requests;
mod session;
mod snapshot;
mod upload;

pub(super) use append::append;
pub(super) use requests::{make_request, requests};
pub(super) use session::open_session;
pub(super) use snapshot::add_snapshot;
pub(super) use upload::upload;
