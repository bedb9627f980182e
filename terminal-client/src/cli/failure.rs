use std::path::PathBuf;

use crate::{
    fetch::{FetchError, TokenError},
    pull::PullError,
    target::TargetError,
};

/// Why a command ended without having done what it was to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// A flag that is needed was not given.
    #[error(
        "--{flag} is missing: give it as a flag, as {variable} in the environment, or as '{flag}' in the --config file"
    )]
    Missing { flag: &'static str, variable: &'static str },
    /// Flags that do not go together, or a value that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The configuration file.
    #[error("the config file {}: {why}", path.display())]
    Config { path: PathBuf, why: String },
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The relay did not tell what it was asked, and why is said elsewhere.
    #[error("the relay did not tell where it is: see above")]
    NoRelay { code: u8 },
    /// Transactions that are in quarantine still.
    #[error(
        "{left} of the transactions in quarantine cannot be applied yet: put right what is in the way, then `tailwater-terminal retry`; or `tailwater-terminal reload`, which loads the tables anew, without them"
    )]
    Held { left: usize },
    /// A signal ended a run that was to end by itself, before it was done.
    #[error("stopped by a signal before it was done: {0}")]
    Stopped(String),
    /// A comparison found rows that are not the master's.
    #[error("{0}")]
    Differs(String),
    #[error("cannot {doing}: {error}")]
    Io { doing: &'static str, error: std::io::Error },
}

impl From<TargetError> for CliError {
    fn from(error: TargetError) -> Self {
        Self::Pull(error.into())
    }
}

impl From<FetchError> for CliError {
    fn from(error: FetchError) -> Self {
        Self::Pull(error.into())
    }
}

impl CliError {
    /// 2 usage or configuration, 3 the other side refused, 4 not reachable or not ready, 1 the rest.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Missing { .. } | Self::Usage(_) | Self::Config { .. } | Self::Token(_) => 2,
            Self::Pull(error) => error.exit_code(),
            Self::NoRelay { code } => *code,
            Self::Held { .. } | Self::Io { .. } | Self::Stopped(_) | Self::Differs(_) => 1,
        }
    }
}
