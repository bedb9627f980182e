use wire::{ChannelName, Lsn, ManifestRange, Slice};

use super::{error::PullError, settings::Settings};
use crate::{
    fetch::{Fetched, Standing},
    position::Position,
    range::{ChannelFiles, Range, RangeError},
};

/// Ranges that follow on a position, as a relay gave them.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) ranges: Vec<Range>,
    /// Where they are to be read from.
    pub(super) start: Position,
    /// The relay's head when it answered.
    pub(super) head: Lsn,
}

impl Bundle {
    /// What was fetched, to be applied behind `own`; and the relay's head.
    pub(super) fn of_fetched(
        settings: &Settings,
        fetched: Fetched,
        own: Position,
    ) -> Result<(Option<Self>, Lsn), PullError> {
        Ok(match fetched {
            Fetched::Slices { slices, standing: Standing { head, .. } } => {
                (Some(Self::of_slices(settings, &slices, own, head)), head)
            }
            Fetched::Closed { range, files, standing: Standing { head, .. } } => {
                (Some(Self::of_objects(settings, range, files, own, head)?), head)
            }
            Fetched::Nothing { standing } => (None, standing.head),
            Fetched::Behind { head } => (None, head.unwrap_or(Lsn::ZERO)),
        })
    }

    /// Of slices, with the channels asked for.
    pub(super) fn of_slices(
        settings: &Settings,
        slices: &[Slice],
        start: Position,
        head: Lsn,
    ) -> Self {
        let wants = |channel: &ChannelName| settings.wants(channel);
        let ranges = slices.iter().map(|slice| Range::from_slice(slice, wants)).collect();
        Self { ranges, start, head }
    }

    /// Of a closed range, with the channels asked for.
    pub(super) fn of_objects(
        settings: &Settings,
        mut range: ManifestRange,
        files: Vec<ChannelFiles>,
        start: Position,
        head: Lsn,
    ) -> Result<Self, RangeError> {
        let (channels, files) = std::mem::take(&mut range.channels)
            .into_iter()
            .zip(files)
            .filter(|(channel, _)| settings.wants(&channel.channel))
            .unzip();
        range.channels = channels;
        let range = Range::from_objects(settings.source.clone(), start.lineage, &range, files)?;
        Ok(Self { ranges: vec![range], start, head })
    }
}
