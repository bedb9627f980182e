use std::sync::Arc;

use wire::{CaptureState, Facts, Lineage, Lsn, ProblemKind, SessionAnswer, SourceName};

use super::super::failure::Failure;
use crate::{
    append::{Relay, RelayAddress, RelayError, Remedy, Token},
    run::{Opening, RunError, open},
};

/// What the relay has of the source.
pub(super) struct Found {
    pub(super) relay: Arc<Relay>,
    /// What its capture said last.
    pub(super) state: Option<CaptureState>,
    pub(super) lineage: Option<Lineage>,
    /// What a session is answered; or why it is not, where the log is another master's.
    pub(super) answer: Result<SessionAnswer, Box<RelayError>>,
}

impl Found {
    /// Where its log ends; zero where that is not told. None where nothing was captured.
    pub(super) fn head(&self) -> Option<Lsn> {
        match &self.answer {
            Ok(answer) => answer.head,
            Err(_) => Some(Lsn::ZERO),
        }
    }
}

/// Asks the first relay that answers. Looks before it opens a session, which would fence off a capture.
pub(super) async fn at_relay(
    addresses: Vec<RelayAddress>,
    name: &SourceName,
    token: Option<Token>,
    facts: &Facts,
) -> Result<Found, Failure> {
    let mut last = None;
    for address in addresses {
        let relay = Relay::new(address, name.clone(), token.clone()).map_err(RunError::from)?;
        let (state, lineage) = match relay.snapshots().await {
            Ok((_, state, lineage)) => (state, lineage),
            Err(error) if error.kind() == Some(ProblemKind::UnknownSource) => (None, None),
            Err(error) if error.remedy() == Remedy::Again => {
                last = Some(error);
                continue;
            }
            Err(error) => return Err(RunError::from(error).into()),
        };
        if let Some(
            state @ (CaptureState::Streaming
            | CaptureState::Unproved
            | CaptureState::Copying
            | CaptureState::WaitingForSlot),
        ) = state
        {
            let text = format!(
                "the relay at {} heard of a capture of '{name}' a moment ago (its state is {}): stop it, and wait until \
                 `tailwater-relay status` says that it is offline. Nothing was changed",
                relay.address(),
                shown(state)
            );
            return Err(Failure { code: 3, text });
        }
        let relay = Arc::new(relay);
        let answer = match open(std::slice::from_ref(&relay), facts, Opening::GoOn).await {
            Ok((_, answer)) => Ok(answer),
            Err(error) if error.kind() == Some(ProblemKind::OtherMaster) => Err(Box::new(error)),
            Err(error) => return Err(RunError::from(error).into()),
        };
        let lineage = lineage.or_else(|| answer.as_ref().ok()?.lineage);
        return Ok(Found { relay, state, lineage, answer });
    }
    Err(last
        .map_or_else(|| Failure::usage("no relay is named"), |error| RunError::from(error).into()))
}

/// As JSON has it.
pub(super) fn shown(state: CaptureState) -> String {
    let value = serde_json::to_value(state).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
