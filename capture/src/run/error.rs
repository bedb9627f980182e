use std::time::Duration;

use wire::{CaptureState, Lsn, ProblemKind};

use super::too_large::TooLarge;
use crate::{
    append::{RelayError, Remedy},
    assemble::AssembleError,
    begin::BeginError,
    copy::CopyError,
    ddl::DdlError,
    pgoutput,
    source::{Refusal, SqlError},
    walsender::WalsenderError,
};

/// Why `run` ended, or why one attempt did.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The start.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// The first copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// Recording schema changes.
    #[error(transparent)]
    Ddl(#[from] DdlError),
    /// The replication connection.
    #[error(transparent)]
    Walsender(#[from] WalsenderError),
    /// An SQL connection.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The relay.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The stream cannot be read.
    #[error(transparent)]
    Decode(#[from] pgoutput::DecodeError),
    /// The stream cannot be put into slices.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// A standby: its timeline may yet change.
    #[error(
        "the server is a standby in recovery: capture goes on once it is promoted; or point --source to the master"
    )]
    Recovering,
    /// The relay does not answer, another one does.
    #[error("the relay at {from} does not answer, but {to} does: going on there")]
    Moved { from: String, to: String },
    /// The master holds a value that it cannot send.
    #[error("{found}")]
    TooLarge { found: TooLarge, source: Box<RunError> },
    /// The start was tried for long enough.
    #[error("not ready within {} s: {}", within.as_secs(), crate::explain::chain(source.as_ref()))]
    NotInTime { within: Duration, source: Box<RunError> },
    /// The same failure, over and over, without a step forward.
    #[error("given up after {times} attempts: {}", crate::explain::chain(source.as_ref()))]
    GivenUp { times: u32, source: Box<RunError> },
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It passes by itself: a connection, a restart.
    Again,
    /// It may pass; but if it does not, it never will.
    Doubtful,
    /// It needs the operator.
    Stop,
}

impl RunError {
    /// The process's exit code, as DESIGN has them: 2 configuration, 3 the other side refused, 4 not
    /// reachable in time, 1 the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Begin(
                BeginError::Keyless(_) | BeginError::Exclude(_) | BeginError::ChannelMoved { .. },
            )
            | Self::Ddl(
                DdlError::Taken { .. }
                | DdlError::NotCarried { .. }
                | DdlError::Writable { .. }
                | DdlError::Foreign { .. },
            ) => 2,
            Self::NotInTime { .. } | Self::Begin(BeginError::SlotWait { .. }) => 4,
            Self::Begin(
                BeginError::Violation(_)
                | BeginError::NotReady(_)
                | BeginError::PublicationGone { .. }
                | BeginError::ExcludedCarried { .. },
            ) => 3,
            Self::Assemble(AssembleError::History(_)) | Self::Ddl(DdlError::Untrusted { .. }) => 3,
            Self::GivenUp { source, .. } | Self::TooLarge { source, .. } => source.exit_code(),
            other if other.fate() == Fate::Again => 4,
            other if other.refusal().is_some() || other.relay_kind().is_some() => 3,
            Self::Walsender(error) if refuses_us(error) => 3,
            Self::Sql(SqlError::NoPassword { .. })
            | Self::Begin(BeginError::Sql(SqlError::NoPassword { .. })) => 3,
            _ => 1,
        }
    }

    /// Its name in reports.
    pub(super) fn state(&self) -> CaptureState {
        match self {
            Self::Begin(BeginError::Violation(violation)) => violation.state(),
            Self::Begin(
                BeginError::PublicationGone { .. } | BeginError::ExcludedCarried { .. },
            ) => CaptureState::PublicationChanged,
            Self::Assemble(AssembleError::History(_) | AssembleError::Backwards { .. }) => {
                CaptureState::OtherHistory
            }
            Self::GivenUp { source, .. }
            | Self::NotInTime { source, .. }
            | Self::TooLarge { source, .. } => source.state(),
            other => match (other.refusal(), other.relay_kind()) {
                (Some(Refusal::SlotMissing), _) => CaptureState::SlotMissing,
                (Some(Refusal::SlotLost | Refusal::WalMissing), _) => CaptureState::SlotLost,
                (Some(Refusal::ValueTooLarge), _) => CaptureState::ValueTooLarge,
                (Some(Refusal::NoPublication), _) => CaptureState::PublicationChanged,
                (_, Some(ProblemKind::OtherMaster)) => CaptureState::OtherMaster,
                (_, Some(ProblemKind::OtherLineage | ProblemKind::OtherHistory)) => {
                    CaptureState::OtherHistory
                }
                _ => CaptureState::Error,
            },
        }
    }

    pub(super) fn fate(&self) -> Fate {
        if let Some(refusal) = self.refusal() {
            return of_refusal(refusal);
        }
        if let Some(error) = self.relay() {
            return match error.remedy() {
                Remedy::Again => Fate::Again,
                Remedy::Reopen => Fate::Doubtful,
                Remedy::Stop => Fate::Stop,
            };
        }
        match self {
            Self::Moved { .. } | Self::Recovering => Fate::Again,
            Self::Walsender(error) | Self::Begin(BeginError::Walsender(error)) => {
                of_walsender(error)
            }
            Self::Sql(error) | Self::Begin(BeginError::Sql(error)) => of_sql(error),
            Self::Copy(CopyError::Joined { .. } | CopyError::Ended) => Fate::Again,
            Self::Copy(CopyError::Sql(error)) | Self::Ddl(DdlError::Sql(error)) => of_sql(error),
            Self::Ddl(DdlError::Install { source }) => of_sql(source),
            Self::Copy(CopyError::Table { source, .. }) => of_sql(source),
            Self::Begin(BeginError::Publication { source, .. } | BeginError::Lock { source }) => {
                of_sql(source)
            }
            _ => Fate::Stop,
        }
    }

    /// The change that the server could not send.
    pub(super) fn position(&self) -> Option<Lsn> {
        match self {
            Self::Walsender(error) => error.server()?.position(),
            _ => None,
        }
    }

    /// The server's reason, where it was the server that said no.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Walsender(error) | Self::Begin(BeginError::Walsender(error)) => error.refusal(),
            Self::Sql(error)
            | Self::Begin(BeginError::Sql(error))
            | Self::Ddl(DdlError::Sql(error))
            | Self::Copy(CopyError::Sql(error)) => error.refusal(),
            Self::Ddl(DdlError::Install { source }) => source.refusal(),
            Self::Begin(BeginError::Publication { source, .. } | BeginError::Lock { source })
            | Self::Copy(CopyError::Table { source, .. }) => source.refusal(),
            _ => None,
        }
    }

    fn relay(&self) -> Option<&RelayError> {
        match self {
            Self::Relay(error)
            | Self::Begin(BeginError::Relay(error))
            | Self::Copy(CopyError::Relay(error)) => Some(error),
            _ => None,
        }
    }

    fn relay_kind(&self) -> Option<ProblemKind> {
        self.relay().and_then(RelayError::kind)
    }
}

fn of_refusal(refusal: &Refusal) -> Fate {
    match refusal {
        Refusal::SlotActive { .. } | Refusal::NotServing | Refusal::TooManyConnections => {
            Fate::Again
        }
        Refusal::SlotExists | Refusal::Locked | Refusal::Other => Fate::Doubtful,
        _ => Fate::Stop,
    }
}

fn of_sql(error: &SqlError) -> Fate {
    match error {
        SqlError::Unreachable { .. } | SqlError::Silent { .. } => Fate::Again,
        _ => Fate::Stop,
    }
}

fn of_walsender(error: &WalsenderError) -> Fate {
    match error {
        WalsenderError::Connect { .. }
        | WalsenderError::Timeout { .. }
        | WalsenderError::Unanswered { .. }
        | WalsenderError::Closed { .. }
        | WalsenderError::Ended
        | WalsenderError::Silent { .. }
        | WalsenderError::Broken(_) => Fate::Again,
        error if refuses_us(error) => Fate::Stop,
        _ => Fate::Doubtful,
    }
}

/// The connection cannot come about between these two as they are configured.
fn refuses_us(error: &WalsenderError) -> bool {
    matches!(
        error,
        WalsenderError::Tls(_)
            | WalsenderError::NoTls { .. }
            | WalsenderError::Handshake { .. }
            | WalsenderError::NoPassword { .. }
            | WalsenderError::AuthMethod { .. }
            | WalsenderError::NoChannelBinding { .. }
            | WalsenderError::Impostor { .. }
            | WalsenderError::TooOld { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::begin::Violation;

    /// Never tried again: each ends capture with 3, under a name of its own.
    #[test]
    fn what_needs_the_operator_is_final_and_named() {
        let (head, what) = (Lsn::new(1), || "x".to_owned());
        let lost = Violation::SlotLost { slot: what(), reason: what() };
        let behind = Violation::RelayBehindSlot { slot: what(), head, confirmed: head };
        let timeline = Violation::OtherTimeline { now: 2, then: 1, at: what(), head };
        let other = Violation::SlotOther { slot: what(), of: what() };
        let foreign = Violation::SlotForeign { slot: what(), what: what() };
        let restored = Violation::MasterBehindRelay { head, position: head };
        for (error, state) in [
            (Violation::SlotMissing { slot: what(), head }.into(), CaptureState::SlotMissing),
            (lost.into(), CaptureState::SlotLost),
            (other.into(), CaptureState::SlotMissing),
            (foreign.into(), CaptureState::Error),
            (
                Violation::RelayEmpty { slot: what(), confirmed: head }.into(),
                CaptureState::RelayBehindSlot,
            ),
            (behind.into(), CaptureState::RelayBehindSlot),
            (restored.into(), CaptureState::MasterBehindRelay),
            (Violation::OtherMaster { what: what() }.into(), CaptureState::OtherMaster),
            (timeline.into(), CaptureState::OtherHistory),
            (BeginError::PublicationGone { name: what() }, CaptureState::PublicationChanged),
        ] {
            let error = RunError::Begin(error);
            let told = (error.fate(), error.exit_code(), error.state());
            assert_eq!(told, (Fate::Stop, 3, state), "{error}");
        }
    }
}
