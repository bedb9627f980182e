use wire::{ChannelSet, Snapshot};

use super::{error::PullError, settings::Settings};
use crate::{fetch::FetchError, target::Stored};

/// What a load is to do.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// Fill an empty target.
    First,
    /// Take the place of what is there.
    Again(Stored),
    /// So too, and lead on from it: nothing else does, for the log begins behind it.
    Beyond(Stored),
}

impl Order {
    /// Whether the snapshot, of these channels, may be loaded over what is there.
    pub(super) fn permits(
        &self,
        settings: &Settings,
        snapshot: &Snapshot,
        channels: &ChannelSet,
    ) -> Result<(), PullError> {
        let (Self::Again(stored) | Self::Beyond(stored)) = self else { return Ok(()) };
        let own = &stored.position;
        let (relay, source_name) = (settings.relays.in_use(), settings.source.clone());
        if snapshot.lineage != own.lineage {
            let (own, theirs) = (own.lineage, snapshot.lineage);
            return Err(PullError::OtherLineage { relay, source_name, own, theirs });
        }
        let loaded = stored.channel_set();
        if loaded != *channels {
            let allowed = channels.clone();
            return Err(FetchError::Channels { relay, loaded, allowed }.into());
        }
        if matches!(self, Self::Beyond(_)) && snapshot.lsn <= own.lsn {
            let (own, snapshot) = (own.lsn, snapshot.lsn);
            return Err(PullError::NoWayOn { relay, source_name, own, snapshot });
        }
        Ok(())
    }
}
