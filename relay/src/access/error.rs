use std::{io, path::PathBuf};

use super::name::TokenName;

/// A token that cannot be made, listed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is one of that name.
    #[error(
        "there is a token '{name}' already ({path}): choose another name, or revoke that one first"
    )]
    Exists {
        /// The name.
        name: TokenName,
        /// Its file.
        path: PathBuf,
    },
    /// There is none of that name.
    #[error("there is no token '{name}' ({path}); `token list` shows those that there are")]
    Unknown {
        /// The name.
        name: TokenName,
        /// Where its file would be.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file would be there, but not for the relay.
    #[error(
        "{path} cannot be given to the owner of the data directory (user id {owner}), so the relay could not read it: {source}; run this command as that user"
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// The user id of the data directory's owner.
        owner: u32,
        /// The system's error.
        source: io::Error,
    },
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl TokenError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }
}
