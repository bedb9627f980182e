//! A slot that is gone or was invalidated: what was committed since is lost to the history that the relay
//! has, so it ends, or it begins anew.

use wire::{SessionAnswer, Succession};

use super::{error::RunError, session::Opening};
use crate::{
    append::{RelayError, Remedy},
    begin::{BeginError, SlotFacts, Standing, Violation, check_standing, other_slot},
    settings::{OnLostSlot, Settings},
};

fn slot_lost(settings: &Settings, lost: &SlotFacts) -> Violation {
    let reason = lost.lost().unwrap_or_default();
    Violation::SlotLost { slot: settings.slot.clone(), reason }
}

/// What a copy's session is opened for: `lost` is the slot, where there is one.
pub(super) fn opening(
    settings: &Settings,
    lost: Option<&SlotFacts>,
    standing: &Standing<'_>,
    answer: &SessionAnswer,
) -> Result<Opening, BeginError> {
    let Some((lineage, head)) = answer.lineage.zip(answer.head) else {
        // Of a first copy that was interrupted; any other slot is not ours to drop.
        let expected = answer.lineage.and(answer.facts.as_ref());
        let ours = expected.is_some_and(|then| then.slot == settings.slot);
        return match lost {
            Some(lost) if !ours => Err(slot_lost(settings, lost).into()),
            _ => Ok(Opening::Begin),
        };
    };
    if let Some(of) = other_slot(answer, &settings.slot) {
        let (slot, of) = (settings.slot.clone(), of.to_owned());
        return Err(Violation::SlotOther { slot, of }.into());
    }
    let violation = match lost {
        None => Violation::SlotMissing { slot: settings.slot.clone(), head },
        Some(lost) => slot_lost(settings, lost),
    };
    match settings.on_lost_slot {
        OnLostSlot::Stop => Err(violation.into()),
        OnLostSlot::Resnapshot => {
            // A master that lacks what the relay has is more than a lost slot.
            check_standing(standing, answer, head)?;
            let why = violation.what();
            tracing::error!(
                "{why}. As --on-lost-slot resnapshot says, the history begins anew: a new slot, a new copy of all tables, which \
                 every terminal loads over what it has"
            );
            Ok(Opening::Succeed(Succession { lineage, why }))
        }
    }
}

/// Where the relay is away too, it is the slot that needs somebody.
pub(super) fn unopened(
    settings: &Settings,
    lost: Option<&SlotFacts>,
    error: RelayError,
) -> RunError {
    match lost {
        Some(lost)
            if settings.on_lost_slot == OnLostSlot::Stop && error.remedy() == Remedy::Again =>
        {
            BeginError::from(slot_lost(settings, lost)).into()
        }
        _ => error.into(),
    }
}
