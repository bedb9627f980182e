use wire::Snapshot;

use super::{error::PullError, settings::Settings};
use crate::position::Position;

/// What a load is to do.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// Fill an empty target.
    First,
    /// Take the place of what stands at this position.
    Again(Position),
    /// So too, and lead on from it: nothing else does, for the log begins behind it.
    Beyond(Position),
}

impl Order {
    /// Whether the snapshot may be loaded over what is there.
    pub(super) fn permits(
        &self,
        settings: &Settings,
        snapshot: &Snapshot,
    ) -> Result<(), PullError> {
        let (Self::Again(own) | Self::Beyond(own)) = self else { return Ok(()) };
        let (relay, source_name) = (settings.relays.in_use(), settings.source.clone());
        if snapshot.lineage != own.lineage {
            let (own, theirs) = (own.lineage, snapshot.lineage);
            return Err(PullError::OtherLineage { relay, source_name, own, theirs });
        }
        if matches!(self, Self::Beyond(_)) && snapshot.lsn <= own.lsn {
            let (own, snapshot) = (own.lsn, snapshot.lsn);
            return Err(PullError::NoWayOn { relay, source_name, own, snapshot });
        }
        Ok(())
    }
}
