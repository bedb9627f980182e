use std::sync::Arc;

use super::{
    begin::{Beginning, choose, snapshots},
    error::PullError,
    loading::Loading,
    order::Order,
    parts::load_parts,
    settings::Settings,
};
use crate::{
    fetch::Spool,
    position::Position,
    progress::Progress,
    target::{Stored, StoredState, Target},
};

/// Loads a snapshot part by part; goes on with a load that was interrupted, if the relay still has
/// its snapshot. The state `ready`, or for a reload the new position, comes with the last part.
pub(super) async fn load<T: Target>(
    target: &mut T,
    settings: &Settings,
    spool: &Arc<Spool>,
    progress: &Progress,
    order: &Order,
) -> Result<Stored, PullError> {
    let again = !matches!(order, Order::First);
    let unfinished = target.unfinished_load(&settings.source).await?;
    // Beside a position, a first load's record can only be a left-over; its tables must not go.
    let unfinished = unfinished.filter(|record| !again || record.plan.reload.is_some());
    let offer = snapshots(settings, order.ended()).await?;
    let snapshot = choose(offer.snapshots, unfinished.as_ref());
    order.permits(settings, &snapshot, &offer.channels, &offer.succeeds)?;
    let channels = offer.channels;
    let mut stored = Stored {
        position: Position::proved(snapshot.lineage, snapshot.lsn, snapshot.hashes.clone()),
        state: StoredState::Loading,
        channels: channels.names(),
        channel_map: snapshot.channel_map.clone(),
    };
    let noted = (!again).then_some(&stored);
    let beginning = Beginning { settings, progress, stored: noted, snapshot: &snapshot };
    let point = beginning.begin(target, unfinished).await?;
    let loading = Loading { settings, progress, snapshot: &snapshot };
    load_parts(target, loading, spool, point).await?;
    stored.state = StoredState::Ready;
    target.finish_load(&settings.source, &stored, &snapshot).await?;
    Ok(stored)
}
