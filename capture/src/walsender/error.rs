use std::{io, time::Duration};

use super::{copy_data::CopyDataError, frame::FrameError};
use crate::source::{Refusal, ServerError, TlsError};

/// Why the replication connection is not there, or is no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalsenderError {
    /// TLS cannot be set up as the URL asks.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody answers at the address.
    #[error(
        "cannot connect to {place}: check that the server runs, listens there and is not behind a firewall"
    )]
    Connect { place: String, source: io::Error },
    /// No answer in time.
    #[error("{place} did not answer within {} s while {doing}: check host, port and network, or raise connect_timeout", after.as_secs_f32())]
    Timeout { place: String, doing: &'static str, after: Duration },
    /// No answer in time to a command that waits for nobody.
    #[error(
        "{place} did not answer within {} s while {doing}: the network between swallows what is sent, or the server is overloaded",
        after.as_secs_f32()
    )]
    Unanswered { place: String, doing: &'static str, after: Duration },
    /// TLS is asked for, and the server has none.
    #[error("{place} does not offer TLS: set ssl = on there, or use sslmode=prefer or disable")]
    NoTls { place: String },
    /// The TLS handshake failed: certificate, name or protocol.
    #[error(
        "TLS with {place} failed: check sslrootcert, and that the certificate names the host (sslmode=verify-ca leaves the name out)"
    )]
    Handshake { place: String, source: io::Error },
    /// The server asks for a password, and there is none.
    #[error("{place} asks {user} for a password: set PGPASSWORD, or put it into the source URL")]
    NoPassword { place: String, user: String },
    /// A way of logging in that we do not know.
    #[error(
        "{place} asks for the log-in method {method}, which is not supported: use scram-sha-256, md5, password, cert or trust in pg_hba.conf"
    )]
    AuthMethod { place: String, method: String },
    /// The password exchange is not tied to the TLS session.
    #[error(
        "channel_binding=require, but {place} does not bind the log-in to the TLS session: it needs TLS and scram-sha-256"
    )]
    NoChannelBinding { place: String },
    /// The server does not know the password either: somebody stands between.
    #[error(
        "{place} could not prove that it knows the password: it may be another server than it seems"
    )]
    Impostor { place: String, source: io::Error },
    /// The server is too old.
    #[error("{place} is PostgreSQL {version}: version 10 or later is needed")]
    TooOld { place: String, version: String },
    /// The server said no.
    #[error("the server refused {doing}: {server}. What to do: {}", refusal.advice())]
    Refused { doing: String, refusal: Refusal, server: Box<ServerError> },
    /// The server closed the connection without a word.
    #[error("the server closed the connection while {doing}: see its log")]
    Closed { doing: &'static str },
    /// The server ended the stream in order: it is shutting down.
    #[error(
        "the server ended the stream: it is shutting down, or the slot's WAL sender was told to stop"
    )]
    Ended,
    /// Nothing came, not even when asked.
    #[error("nothing came from the server for {} s, not even an answer to a keepalive: the connection is dead", after.as_secs_f32())]
    Silent { after: Duration },
    /// The connection broke.
    #[error("the connection to the server broke")]
    Broken(#[from] io::Error),
    /// The bytes are not frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The frame is no replication message.
    #[error(transparent)]
    CopyData(#[from] CopyDataError),
    /// A message that has no place here.
    #[error("the server sent {what} while {doing}, which the protocol does not allow")]
    Unexpected { what: String, doing: &'static str },
    /// An earlier command was given up in the middle.
    #[error("the replication connection was left in the middle of a command: open a new one")]
    Abandoned,
}

impl WalsenderError {
    pub(super) fn refused(doing: impl Into<String>, server: ServerError) -> Self {
        Self::Refused {
            doing: doing.into(),
            refusal: Refusal::of(&server),
            server: Box::new(server),
        }
    }

    /// What the server said, where it was the server that said no.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Refused { server, .. } => Some(server),
            _ => None,
        }
    }

    /// The reason, where it was the server that said no.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}
