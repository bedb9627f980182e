use std::{io, net::SocketAddr, path::PathBuf};

use super::{client::CallError, layers::LayerError};
use crate::{access::TokenError, log::StoreError, server::OpenError};

/// Why a command ended without having done what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error("RUST_LOG: {0}; write it like `info` or `relay=debug,info`")]
    Logging(#[from] tracing_subscriber::filter::ParseError),
    #[error(
        "--channels limits what a terminal may read; a token with the role '{role}' cannot have it"
    )]
    ChannelsOfRole { role: crate::access::Role },
    #[error(
        "{path}: {reason}; --token-file (or TAILWATER_TOKEN_FILE) names a file that holds a token and nothing else"
    )]
    TokenFile { path: PathBuf, reason: String },
    #[error("TAILWATER_TOKEN does not hold a token: {reason}")]
    TokenVariable { reason: String },
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("'{listen}' is no address to listen on: {source}; write it like 127.0.0.1:7070")]
    Address { listen: String, source: io::Error },
    #[error(
        "refused to serve on {address} without tokens: whoever reaches that address could read and write every source. \
         Make tokens first, e.g. `tailwater-relay token add ops --role ops --data-dir {}`, one for each capture and terminal too; \
         or listen on this machine only (--listen 127.0.0.1:{})", data_dir.display(), address.port()
    )]
    NoTokens { address: SocketAddr, data_dir: PathBuf },
    #[error("cannot listen on {address}: {source}; {}", listen_advice(source))]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot open the data directory: {0}")]
    Open(#[from] OpenError),
    #[error("the relay stopped: {0}")]
    Serve(#[source] io::Error),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(
        "no source of the relay at {relay} knows a terminal '{name}'; `tailwater-relay terminal list` shows those that it knows"
    )]
    NoTerminal { relay: String, name: wire::TerminalName },
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    #[error("the asynchronous runtime does not start: {0}")]
    Runtime(#[source] io::Error),
}

impl Failure {
    /// 2 usage or configuration, 3 the relay refused, 4 not reachable or not ready, 1 the rest.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Layer(_)
            | Self::Logging(_)
            | Self::ChannelsOfRole { .. }
            | Self::TokenFile { .. }
            | Self::TokenVariable { .. }
            | Self::Token(TokenError::Exists { .. } | TokenError::Unknown { .. })
            | Self::Address { .. }
            | Self::NoTokens { .. }
            | Self::Open(OpenError::Store(StoreError::Locked { .. }))
            | Self::Call(CallError::Url { .. }) => 2,
            Self::Listen { source, .. } if source.kind() != io::ErrorKind::AddrInUse => 2,
            Self::NoTerminal { .. } => 3,
            Self::Call(error) if error.is_refusal() => 3,
            Self::Call(error) if error.is_passing() => 4,
            Self::Call(_)
            | Self::Token(_)
            | Self::Open(_)
            | Self::Serve(_)
            | Self::Listen { .. }
            | Self::Output(_)
            | Self::Runtime(_) => 1,
        }
    }
}

fn listen_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there already: is a relay running? Stop it, or choose another port (--listen)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; choose another (--listen)"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for root; choose another (--listen)"
        }
        _ => "choose another address (--listen)",
    }
}
