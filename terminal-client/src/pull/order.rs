use wire::{ChannelSet, Lineage, Snapshot};

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
    /// So too: its history ended, and another one succeeds it.
    Succeeding(Stored),
}

impl Order {
    /// The history that ended.
    pub(super) fn ended(&self) -> Option<Lineage> {
        match self {
            Self::Succeeding(stored) => Some(stored.position.lineage),
            Self::First | Self::Again(_) | Self::Beyond(_) => None,
        }
    }

    /// Whether the snapshot, of these channels and of a history that succeeds those, may be loaded over
    /// what is there.
    pub(super) fn permits(
        &self,
        settings: &Settings,
        snapshot: &Snapshot,
        channels: &ChannelSet,
        succeeds: &[Lineage],
    ) -> Result<(), PullError> {
        let (Self::Again(stored) | Self::Beyond(stored) | Self::Succeeding(stored)) = self else {
            return Ok(());
        };
        let own = &stored.position;
        let (relay, source_name) = (settings.relays.in_use(), settings.source.clone());
        let same = snapshot.lineage == own.lineage;
        if !same && !succeeds.contains(&own.lineage) {
            let (own, theirs) = (own.lineage, snapshot.lineage);
            return Err(PullError::OtherLineage { relay, source_name, own, theirs });
        }
        let loaded = stored.channel_set();
        if loaded != *channels {
            let allowed = channels.clone();
            return Err(FetchError::Channels { relay, loaded, allowed }.into());
        }
        if same && matches!(self, Self::Beyond(_)) && snapshot.lsn <= own.lsn {
            let (own, snapshot) = (own.lsn, snapshot.lsn);
            return Err(PullError::NoWayOn { relay, source_name, own, snapshot });
        }
        Ok(())
    }
}
