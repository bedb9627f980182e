//! What the relay needs of capture: asked for by operators, fetched by capture.

use serde::{Deserialize, Serialize};

use crate::{CaptureState, Lsn};

/// Something that capture is to do. Body of `POST /v1/{source}/requests`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Request {
    /// A new snapshot.
    Snapshot,
}

/// `GET /v1/{source}/requests`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestList {
    /// What is wanted, each thing once.
    pub requests: Vec<Request>,
}

/// Answer to `POST /v1/{source}/requests`: the request is noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestAnswer {
    /// The relay's head: a snapshot at this position or behind it fulfils the request.
    pub head: Lsn,
    /// The newest snapshot that terminals may take by now.
    pub newest: Option<Lsn>,
    /// What the capture is doing that is to do it.
    pub capture: CaptureState,
}
