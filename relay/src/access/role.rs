use std::fmt;

use serde::{Deserialize, Serialize};

/// What the holder of a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Feeds a source: sessions, appends, uploads, its own reports.
    Capture,
    /// Pulls: the log, snapshots (also asks for one from a position on), its own reports, the list of sources, the lag.
    Terminal,
    /// Looks at everything, asks for snapshots and forgets terminals; writes nothing else.
    Ops,
}

impl Role {
    /// As it is written in files and flags.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Terminal => "terminal",
            Self::Ops => "ops",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a request wants to do; the requests are those of `docs/PROTOCOL.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `POST /v1/S/session`.
    OpenSession,
    /// `POST /v1/S/log`.
    Append,
    /// `POST /v1/S/objects`.
    UploadObject,
    /// `POST /v1/S/snapshot`.
    PublishSnapshot,
    /// `POST /v1/S/report` from a capture.
    ReportCapture,
    /// `GET /v1/S/requests`.
    TakeRequests,
    /// `POST /v1/S/requests`.
    MakeRequest,
    /// `POST /v1/S/requests?from=LSN`.
    AskSnapshot,
    /// `GET /v1/S/log`.
    Pull,
    /// `GET /v1/S/snapshot`.
    ReadSnapshot,
    /// `POST /v1/S/report` from a terminal.
    ReportTerminal,
    /// `GET /v1/sources`.
    ListSources,
    /// `GET /v1/S/lag`.
    ReadLag,
    /// `DELETE /v1/S/terminals/NAME`.
    ForgetTerminal,
}

impl Action {
    /// The roles that may do it.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::OpenSession
            | Self::Append
            | Self::UploadObject
            | Self::PublishSnapshot
            | Self::ReportCapture
            | Self::TakeRequests => &[Role::Capture],
            Self::MakeRequest => &[Role::Capture, Role::Ops],
            // Capture has all of it, and waits here for what it was asked for.
            Self::AskSnapshot | Self::ReadSnapshot => &[Role::Capture, Role::Terminal, Role::Ops],
            Self::ReportTerminal => &[Role::Terminal],
            Self::Pull | Self::ListSources | Self::ReadLag => &[Role::Terminal, Role::Ops],
            Self::ForgetTerminal => &[Role::Ops],
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenSession => "opening a capture session",
            Self::Append => "appending to the log",
            Self::UploadObject => "uploading objects",
            Self::PublishSnapshot => "publishing snapshots",
            Self::ReportCapture => "reporting as a capture",
            Self::MakeRequest => "asking capture for something",
            Self::AskSnapshot => "asking capture for a snapshot from a position on",
            Self::TakeRequests => "waiting for the relay's requests",
            Self::Pull => "reading the log",
            Self::ReadSnapshot => "reading snapshots",
            Self::ReportTerminal => "reporting as a terminal",
            Self::ListSources => "listing the sources",
            Self::ReadLag => "reading the lag",
            Self::ForgetTerminal => "forgetting terminals",
        })
    }
}
