use std::time::{Duration, Instant};

use wire::{Lineage, Lsn, Snapshot};

use super::{error::PullError, settings::Settings, trouble::Trouble};
use crate::{
    fetch::{Offer, Refusal},
    progress::Progress,
    target::{LoadPoint, LoadRecord, Stored, Target, snapshot_id},
};

/// What there is to load, at least one snapshot: waits for it as long as the patience lasts. Where a
/// history ended, of one that succeeds it.
pub(super) async fn snapshots(
    settings: &Settings,
    ended: Option<Lineage>,
) -> Result<Offer, PullError> {
    let mut trouble = Trouble::new(settings.patience);
    loop {
        let error = match settings.relays.snapshots(&settings.channels).await {
            Ok(offer) if ended.is_some_and(|own| !offer.succeeds.contains(&own)) => {
                let relay = settings.relays.in_use();
                settings.relays.distrust();
                PullError::StillOld { relay, source_name: settings.source.clone() }
            }
            Ok(offer) if !offer.snapshots.is_empty() => return Ok(offer),
            Ok(_) => PullError::NotReady {
                relay: settings.relays.in_use(),
                source_name: settings.source.clone(),
            },
            // Its capture may be about to begin.
            Err(error) if error.refusal() == Some(Refusal::UnknownSource) => error.into(),
            Err(error) => return Err(error.into()),
        };
        trouble.pause(error).await?;
    }
}

/// Between two looks for a snapshot that is about to come.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The newest snapshot of a history from `lsn` on; none where it does not come while the patience lasts.
pub(super) async fn snapshot_from(
    settings: &Settings,
    lineage: Lineage,
    lsn: Lsn,
) -> Result<Option<Snapshot>, PullError> {
    let begun = Instant::now();
    let fits = |snapshot: &Snapshot| snapshot.lineage == lineage && snapshot.lsn >= lsn;
    loop {
        let offer = settings.relays.snapshots(&settings.channels).await?;
        if offer.succeeds.contains(&lineage) {
            let (relay, source_name) = (settings.relays.in_use(), settings.source.clone());
            return Err(PullError::Ended { relay, source_name });
        }
        if let Some(snapshot) = offer.snapshots.into_iter().find(fits) {
            return Ok(Some(snapshot));
        }
        if settings.patience.is_some_and(|patience| begun.elapsed() + LOOK_PAUSE >= patience) {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// The one whose load was begun, or the newest.
pub(super) fn choose(mut snapshots: Vec<Snapshot>, unfinished: Option<&LoadRecord>) -> Snapshot {
    let same = |snapshot: &Snapshot| {
        unfinished.is_some_and(|record| record.snapshot == snapshot_id(snapshot))
    };
    let at = snapshots.iter().position(same).unwrap_or(0);
    snapshots.swap_remove(at)
}

/// How a load begins.
pub(super) struct Beginning<'a> {
    pub(super) settings: &'a Settings,
    pub(super) progress: &'a Progress,
    /// What a first load notes before; none for a reload.
    pub(super) stored: Option<&'a Stored>,
    pub(super) snapshot: &'a Snapshot,
}

impl Beginning<'_> {
    /// Begins or goes on; tells from where.
    pub(super) async fn begin<T: Target>(
        &self,
        target: &mut T,
        unfinished: Option<LoadRecord>,
    ) -> Result<LoadPoint, PullError> {
        let Self { settings: Settings { source, .. }, progress, snapshot, stored } = self;
        let bytes = snapshot.tables.iter().map(|table| table.raw_len).sum();
        let count = snapshot.tables.len();
        let kind = if stored.is_some() { "first load" } else { "reload" };
        if let Some(record) = unfinished {
            let other = record.plan.kind() != kind;
            let offered = record.snapshot == snapshot_id(snapshot);
            let resumed = match !other && offered {
                true => target.resume_load(source, &record, snapshot).await?,
                false => None,
            };
            if let Some(point) = resumed {
                progress.say(&format!(
                    "going on with the {kind} of {source} from the snapshot at {}: {} of {count} tables, {} of {} MB of rows are in",
                    snapshot.lsn,
                    point.tables,
                    point.bytes / 1_000_000,
                    bytes / 1_000_000
                ));
                progress.load_begins(kind, point.bytes, bytes);
                return Ok(point);
            }
            let why = match (other, offered) {
                (true, _) => "this database has no position any more",
                (_, true) => "one of its tables is gone",
                _ => "its snapshot is not offered",
            };
            progress.say(&format!(
                "an interrupted {} of {source} cannot go on, for {why}: what it left is removed",
                record.plan.kind()
            ));
            target.discard_load(source, &record).await?;
        }
        progress.say(&format!(
            "{kind} of {source} from the snapshot at {}: {count} tables, {} MB of rows",
            snapshot.lsn,
            bytes / 1_000_000
        ));
        progress.load_begins(kind, 0, bytes);
        match stored {
            Some(stored) => target.begin_load(source, stored, snapshot).await?,
            None => target.begin_reload(source, snapshot).await?,
        }
        Ok(LoadPoint::default())
    }
}
