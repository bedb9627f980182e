use reqwest::StatusCode;
use wire::{Problem, ProblemKind};

/// The relay did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Nobody answers at the address, or the connection broke.
    #[error(
        "the relay at {url} cannot be reached ({what}): check that it runs, and host, port and network"
    )]
    Unreachable { url: String, what: String, source: reqwest::Error },
    /// The relay said no, and why.
    #[error("the relay at {url} refused {doing}: {}{}", problem.detail.trim_end_matches('.'), advice(problem.kind))]
    Refused { url: String, doing: &'static str, problem: Box<Problem> },
    /// Something answered that is no relay, or a proxy before it.
    #[error(
        "{url} answered {doing} with {status} and no explanation a relay would give ('{excerpt}'): is this the address \
         of a relay, and does a proxy stand before it?"
    )]
    Foreign { url: String, doing: &'static str, status: StatusCode, excerpt: String },
    /// The answer cannot be read.
    #[error(
        "the relay at {url} answered {doing} with something that cannot be read: is it of another version, or did a proxy answer?"
    )]
    Answer { url: String, doing: &'static str, source: serde_json::Error },
}

/// What helps against an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same again, later.
    Again,
    /// A new session, from where the relay is.
    Reopen,
    /// Nothing that capture could do.
    Stop,
}

/// Goes on behind the relay's words.
fn advice(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Unauthorized => {
            ". What to do: give capture a token by TAILWATER_TOKEN or --token-file; \
             `tailwater-relay token add NAME --role capture` makes one"
        }
        ProblemKind::Forbidden => {
            ". What to do: use a token with the role capture (`tailwater-relay token add NAME --role capture`)"
        }
        ProblemKind::Fenced => ". Another capture has taken this source over: stop one of the two",
        ProblemKind::StorageFull => {
            ". What to do: make room on the relay's disk; it goes on by itself, and WAL is kept on the master until then"
        }
        ProblemKind::Corrupt => ". What to do: see the relay's log",
        _ => "",
    }
}

impl RelayError {
    /// The kind of problem, where the relay named one.
    pub fn kind(&self) -> Option<ProblemKind> {
        match self {
            Self::Refused { problem, .. } => Some(problem.kind),
            _ => None,
        }
    }

    /// What helps.
    pub fn remedy(&self) -> Remedy {
        match self {
            // What answers in the relay's place (a captive portal, a gateway) goes away again; a wrong
            // address is found out at the start, which does not try for ever.
            Self::Unreachable { .. } | Self::Foreign { .. } | Self::Answer { .. } => Remedy::Again,
            Self::Refused { problem, .. } => match problem.kind {
                ProblemKind::Unavailable
                | ProblemKind::StorageFull
                | ProblemKind::Internal
                | ProblemKind::Corrupt => Remedy::Again,
                ProblemKind::Gap
                | ProblemKind::Chain
                | ProblemKind::UnknownSource
                | ProblemKind::NotFound
                | ProblemKind::OtherLineage
                | ProblemKind::Malformed => Remedy::Reopen,
                _ => Remedy::Stop,
            },
        }
    }
}
