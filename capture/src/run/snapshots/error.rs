use std::time::Duration;

use wire::Lsn;

use crate::{
    append::RelayError, assemble::Forgotten, begin::BeginError, copy::CopyError,
    run::error::RunError, source::SqlError, walsender::WalsenderError,
};

/// Why a snapshot was given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    /// As elsewhere.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The channels' hashes are not known.
    #[error(transparent)]
    Forgotten(#[from] Forgotten),
    /// The stream is far behind.
    #[error("the stream did not come to the snapshot's position {lsn} within {} s", within.as_secs())]
    Behind { lsn: Lsn, within: Duration },
    /// An application needs a table that is held for the copy, and goes first.
    #[error("it was in the way of an application: {whom}")]
    InTheWay { whom: String },
    /// The stream ended.
    #[error("the stream ended")]
    Ended,
}

impl From<BeginError> for SnapshotError {
    fn from(error: BeginError) -> Self {
        Self::Run(error.into())
    }
}

impl From<SqlError> for SnapshotError {
    fn from(error: SqlError) -> Self {
        Self::Run(error.into())
    }
}

impl From<WalsenderError> for SnapshotError {
    fn from(error: WalsenderError) -> Self {
        Self::Run(error.into())
    }
}

impl From<RelayError> for SnapshotError {
    fn from(error: RelayError) -> Self {
        Self::Run(error.into())
    }
}
