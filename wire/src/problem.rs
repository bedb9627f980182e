use serde::{Deserialize, Serialize};

use crate::Lsn;

/// Why a relay refused: the last part of the problem's `type` URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// 400: the request cannot be read.
    BadRequest,
    /// 401: no token, or one that is not known.
    Unauthorized,
    /// 403: the token's role or channels do not allow it.
    Forbidden,
    /// 404: the relay has no such source.
    UnknownSource,
    /// 404: the relay has no such thing.
    NotFound,
    /// 409: a newer capture session has taken over.
    Fenced,
    /// 409: the slice does not begin where the log ends.
    Gap,
    /// 409: the slice's hashes do not continue the log's.
    Chain,
    /// 409: another lineage.
    OtherLineage,
    /// 409: the terminal's lineage ended, and the log's succeeds it.
    Succeeded,
    /// 409: same lineage, other history: the hash at that position differs.
    OtherHistory,
    /// 409: the master's facts are not those of this source.
    OtherMaster,
    /// 409: the terminal is ahead of this relay.
    BehindYou,
    /// 410: the position is below the horizon; take the snapshot.
    Expired,
    /// 413: larger than the relay takes.
    TooLarge,
    /// 422: the bytes are damaged or malformed.
    Malformed,
    /// 500: what the relay has stored is damaged.
    Corrupt,
    /// 500: anything else.
    Internal,
    /// 503: the relay cannot serve this now.
    Unavailable,
    /// 507: the relay's disk is full.
    StorageFull,
}

impl ProblemKind {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::UnknownSource | Self::NotFound => 404,
            Self::Fenced
            | Self::Gap
            | Self::Chain
            | Self::OtherLineage
            | Self::Succeeded
            | Self::OtherHistory
            | Self::OtherMaster
            | Self::BehindYou => 409,
            Self::Expired => 410,
            Self::TooLarge => 413,
            Self::Malformed => 422,
            Self::Corrupt | Self::Internal => 500,
            Self::Unavailable => 503,
            Self::StorageFull => 507,
        }
    }
}

/// An error as the relay answers it: `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Why; `type` is `urn:tailwater:problem:` and the kind.
    #[serde(rename = "type", with = "urn")]
    pub kind: ProblemKind,
    /// The HTTP status.
    pub status: u16,
    /// What happened, to what, and what to do next.
    pub detail: String,
    /// The newest durable position, where that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Lsn>,
    /// The oldest position the log can be read from, where that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<Lsn>,
    /// The position that a damaged range begins at, or the snapshot to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<Lsn>,
}

impl Problem {
    /// A problem of that kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { kind, status: kind.status(), detail, head: None, horizon: None, lsn: None }
    }
}

mod urn {
    use serde::{Deserialize, Deserializer, Serializer, de::IntoDeserializer};

    use super::ProblemKind;

    const PREFIX: &str = "urn:tailwater:problem:";

    pub(super) fn serialize<S: Serializer>(kind: &ProblemKind, s: S) -> Result<S::Ok, S::Error> {
        let name = serde_json::to_value(kind).map_err(serde::ser::Error::custom)?;
        s.serialize_str(&format!("{PREFIX}{}", name.as_str().unwrap_or_default()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<ProblemKind, D::Error> {
        let text = String::deserialize(d)?;
        let name = text.strip_prefix(PREFIX).ok_or_else(|| {
            serde::de::Error::custom(format!("'{text}' is not a problem of a Tailwater relay"))
        })?;
        ProblemKind::deserialize(name.to_owned().into_deserializer())
    }
}
