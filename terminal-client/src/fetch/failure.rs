use std::{error::Error, time::Duration};

use wire::{ChannelSet, Hash, Problem, ProblemKind};

/// One attempt at one relay that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("the relay at {relay}: {doing}: {kind}")]
pub struct Failure {
    /// The relay's address.
    pub relay: String,
    /// What was asked of it.
    pub doing: String,
    /// What happened.
    pub kind: FailureKind,
    /// How long the relay asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// What happened to an attempt.
#[derive(Debug, thiserror::Error)]
pub enum FailureKind {
    /// No connection.
    #[error(
        "no connection ({}): check that the relay runs, and host, port, network, proxy and certificates",
        root_cause(error)
    )]
    Connect {
        /// Why.
        error: reqwest::Error,
    },
    /// The connection broke before an answer began.
    #[error(
        "the connection broke before an answer came ({}): check that it is a relay that listens there, and the network",
        root_cause(error)
    )]
    Broken {
        /// Why.
        error: reqwest::Error,
    },
    /// Nothing came for too long.
    #[error("{what} within {waited:?}: it may be overloaded, or the network dead")]
    Silent {
        /// What did not come.
        what: &'static str,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The body ended early.
    #[error(
        "the answer broke off after {received} bytes ({why}): check the network, and what proxy stands between"
    )]
    Cut {
        /// Bytes that came.
        received: u64,
        /// Why.
        why: String,
    },
    /// Something answered that is no relay.
    #[error(
        "answered {status}, {content_type}, as no relay does ('{excerpt}'): is this the address of a relay, and what proxy stands before it?"
    )]
    Foreign {
        /// HTTP status.
        status: u16,
        /// Content type.
        content_type: String,
        /// How the body begins.
        excerpt: String,
    },
    /// An answer that is not as agreed.
    #[error(
        "the answer cannot be used: {why}; a proxy may have changed it, or the relay is of another version"
    )]
    Malformed {
        /// Why.
        why: String,
    },
    /// The relay explained itself: not now, or not for this terminal.
    #[error("it says: {}", problem.detail)]
    Problem {
        /// Its words.
        problem: Box<Problem>,
    },
    /// The token allows other channels than the target has.
    #[error("the token allows {}, and the target was loaded with {}", allowed.shown(), loaded.shown())]
    Channels {
        /// What the target has.
        loaded: Box<ChannelSet>,
        /// What the token allows at this relay.
        allowed: Box<ChannelSet>,
    },
    /// An object arrived with other bytes.
    #[error(
        "the object arrived damaged (its bytes hash to {found}): the relay's copy or a cache between may be damaged"
    )]
    Damaged {
        /// What the bytes hash to.
        found: Hash,
    },
    /// The object is not given (any more) at the URL known.
    #[error("it is not given at the URL that the relay signed: {why}")]
    Gone {
        /// The relay's words.
        why: String,
    },
}

impl Failure {
    /// The kind of problem that the relay named.
    pub fn problem(&self) -> Option<&Problem> {
        match &self.kind {
            FailureKind::Problem { problem } => Some(problem),
            _ => None,
        }
    }

    /// Whether the terminal is ahead of the relay.
    pub(super) fn is_behind(&self) -> bool {
        self.problem().is_some_and(|problem| problem.kind == ProblemKind::BehindYou)
    }

    /// Whether the relay answered for good: no other relay and no later time would change it.
    pub(super) fn is_refusal(&self) -> bool {
        if matches!(self.kind, FailureKind::Channels { .. }) {
            return true;
        }
        self.problem().is_some_and(|problem| {
            !matches!(
                problem.kind,
                ProblemKind::BehindYou
                    | ProblemKind::Corrupt
                    | ProblemKind::Internal
                    | ProblemKind::Unavailable
                    | ProblemKind::StorageFull
            )
        })
    }

    /// Whether what the relay has stored is damaged.
    pub(super) fn is_corrupt(&self) -> bool {
        self.problem().is_some_and(|problem| problem.kind == ProblemKind::Corrupt)
    }

    /// Whether the terminal's history ended: what a relay that has not heard of it gives is of no use.
    pub(super) fn is_succeeded(&self) -> bool {
        self.problem().is_some_and(|problem| problem.kind == ProblemKind::Succeeded)
    }

    /// Whether the same relay would answer the same in a while: another may still help.
    pub(super) fn is_lasting(&self) -> bool {
        match &self.kind {
            FailureKind::Problem { .. } => self.is_corrupt(),
            FailureKind::Foreign { status, .. } => {
                (400..500).contains(status) && !matches!(status, 408 | 425 | 429)
            }
            _ => false,
        }
    }
}

/// The innermost cause, which is what a user can act upon.
pub(super) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
