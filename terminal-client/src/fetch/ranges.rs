use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use wire::{Hash, ManifestRange};

use super::{
    error::FetchError,
    objects::{Wanted, fetch},
    relays::Relays,
    spool::Spool,
    whereabouts::{Whereabouts, objects_of_range},
};
use crate::range::{ChannelFiles, ObjectFile};

/// Objects that were fetched for a range that is not complete yet.
pub(super) type Kept = HashMap<Hash, ObjectFile>;

/// Bytes of a range's objects.
pub(super) fn bytes_of_range(range: &ManifestRange) -> u64 {
    objects_of_range(range).fold(0, |sum, object| sum.saturating_add(object.len))
}

/// Fetches the objects of a closed range, some at a time; gives them by channel. None where the
/// relay in use has packed this part of the log in another way: pull again; what is in `kept` is not
/// fetched again.
pub(super) async fn fetch_range(
    relays: &Relays,
    spool: &Arc<Spool>,
    whereabouts: &Whereabouts,
    range: &ManifestRange,
    kept: &mut Kept,
) -> Result<Option<Vec<ChannelFiles>>, FetchError> {
    let mut seen: HashSet<Hash> = kept.keys().copied().collect();
    let mut wanted = objects_of_range(range)
        .filter(|object| seen.insert(object.name))
        .map(|object| Wanted { name: object.name, len: object.len })
        .collect::<Vec<_>>()
        .into_iter();
    let mut running = FuturesUnordered::new();
    let parallel = relays.settings().parallel_objects.max(1);
    loop {
        let room = parallel.saturating_sub(running.len());
        running.extend(
            wanted.by_ref().take(room).map(|wanted| fetch(relays, spool, whereabouts, wanted)),
        );
        match running.next().await {
            Some(Ok(Some(file))) => drop(kept.insert(file.name(), file)),
            Some(Ok(None)) => return Ok(None),
            Some(Err(error)) => return Err(error),
            None => break,
        }
    }
    Ok(by_channel(range, kept))
}

fn by_channel(range: &ManifestRange, files: &Kept) -> Option<Vec<ChannelFiles>> {
    let file = |name: Hash| files.get(&name).cloned();
    range
        .channels
        .iter()
        .map(|channel| {
            let parts = channel.parts.iter().map(|part| file(part.name)).collect::<Option<_>>()?;
            Some(ChannelFiles { object: file(channel.object.name)?, parts })
        })
        .collect()
}
