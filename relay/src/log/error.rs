use std::{io, path::PathBuf};

use wire::Lsn;

/// A store that cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room.
    #[error(
        "no room on the disk below {path} ({source}): free some space, appends are tried again by themselves"
    )]
    Full {
        /// Where room is needed.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "{path} is in use by another process: is a second relay running on this data directory? Stop it, or give this one a directory of its own"
    )]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// The engine failed in a way of its own.
    #[error("{path}: the database engine reports: {detail}")]
    Engine {
        /// The database.
        path: PathBuf,
        /// What it says.
        detail: String,
    },
    /// What is stored is not what was written.
    #[error("{}: {detail}", at(what, *lsn))]
    Corrupt {
        /// What is damaged.
        what: String,
        /// The position it begins at, where there is one.
        lsn: Option<Lsn>,
        /// How it shows, and what to do.
        detail: String,
    },
    /// It was there and has been trimmed since.
    #[error("what follows {after} has moved to closed ranges; ask again")]
    Moved {
        /// The position read from.
        after: Lsn,
    },
}

fn at(what: &str, lsn: Option<Lsn>) -> String {
    lsn.map_or_else(|| what.to_owned(), |lsn| format!("{what} at {lsn}"))
}

impl StoreError {
    /// Sorts a system error: no room, or the rest.
    pub(crate) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            // The engine wraps the system's error in words of its own.
            | io::ErrorKind::FileTooLarge => Self::Full { path, source: source.kind().into() },
            _ => Self::Io { path, source },
        }
    }

    /// Damage.
    pub(crate) fn corrupt(
        what: impl Into<String>,
        lsn: Option<Lsn>,
        detail: impl std::fmt::Display,
    ) -> Self {
        Self::Corrupt { what: what.into(), lsn, detail: detail.to_string() }
    }

    /// The same damage, with the position where there was none.
    #[must_use]
    pub(crate) fn at(self, position: Lsn) -> Self {
        match self {
            Self::Corrupt { what, lsn, detail } => {
                Self::Corrupt { what, lsn: lsn.or(Some(position)), detail }
            }
            other => other,
        }
    }
}
