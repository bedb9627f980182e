use std::{collections::HashMap, time::Duration};

use reqwest::Url;
use tokio::sync::Mutex;
use wire::{ChannelName, Hash, Lineage, Lsn, ManifestObject, ManifestRange, Snapshot};

use super::{
    error::FetchError,
    pull::{PullRequest, Pulled},
    relays::Relays,
    requests::Snapshots,
};

/// Where objects are: at one relay, under URLs that it signed, which run out. Asked again when they
/// no longer serve, perhaps of another relay.
#[derive(Debug)]
pub(super) struct Whereabouts {
    listed_by: ListedBy,
    known: Mutex<Known>,
}

/// What lists the objects.
#[derive(Debug)]
enum ListedBy {
    /// The manifest that this pull gives.
    Pull(Box<PullRequest>),
    /// A snapshot.
    Snapshot { lineage: Lineage, lsn: Lsn, channels: Vec<ChannelName> },
}

#[derive(Debug, Default)]
struct Known {
    /// Counts the lists, so that of many who find a URL dead one asks for a new list.
    edition: u64,
    /// The relay; none before the first list.
    relay: Option<usize>,
    urls: HashMap<Hash, String>,
}

/// Where one object is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) relay: usize,
    pub(super) url: Url,
    edition: u64,
}

impl Whereabouts {
    /// Of a range that `relay` listed when it was asked for `request`.
    pub(super) fn of_range(relay: usize, range: &ManifestRange, request: PullRequest) -> Self {
        let request = PullRequest { wait: Duration::ZERO, ..request };
        let known = Known { edition: 0, relay: Some(relay), urls: urls_of_range(range) };
        Self { listed_by: ListedBy::Pull(Box::new(request)), known: Mutex::new(known) }
    }

    /// Of a snapshot's objects with these channels. The relay is asked for it again, since another
    /// may be in use by now.
    pub(super) fn of_snapshot(snapshot: &Snapshot, channels: &[ChannelName]) -> Self {
        let listed_by = ListedBy::Snapshot {
            lineage: snapshot.lineage,
            lsn: snapshot.lsn,
            channels: channels.to_vec(),
        };
        Self { listed_by, known: Mutex::default() }
    }

    /// Where an object is; none where the list no longer has it.
    pub(super) async fn find(
        &self,
        relays: &Relays,
        name: Hash,
    ) -> Result<Option<Place>, FetchError> {
        let mut known = self.known.lock().await;
        if known.relay.is_none() {
            self.ask(relays, &mut known).await?;
        }
        let Known { edition, relay, urls } = &*known;
        let place = relay.and_then(|relay| {
            let address = relays.endpoint(relay)?.address();
            let url = address.resolve(urls.get(&name)?)?;
            Some(Place { relay, url, edition: *edition })
        });
        Ok(place)
    }

    /// Asks for a new list, unless somebody else has done so since `place` was found.
    pub(super) async fn renew(&self, relays: &Relays, place: &Place) -> Result<(), FetchError> {
        let mut known = self.known.lock().await;
        if known.edition == place.edition { self.ask(relays, &mut known).await } else { Ok(()) }
    }

    async fn ask(&self, relays: &Relays, known: &mut Known) -> Result<(), FetchError> {
        let (relay, urls) = match &self.listed_by {
            ListedBy::Pull(request) => match relays.pull(request).await? {
                Pulled::Manifest { manifest, relay, .. } => {
                    (Some(relay), manifest.ranges.iter().flat_map(urls_of_range).collect())
                }
                _ => (known.relay, HashMap::new()),
            },
            ListedBy::Snapshot { lineage, lsn, channels } => {
                let question = Snapshots { channels: channels.clone() };
                let patience = relays.settings().patience;
                let (relay, list) = relays.ask(&question, patience).await?;
                let same = |found: &&Snapshot| found.lineage == *lineage && found.lsn == *lsn;
                let Some(snapshot) = list.snapshots.iter().find(same) else {
                    return Err(FetchError::SnapshotGone { relay: relays.in_use(), lsn: *lsn });
                };
                (Some(relay), urls_of_snapshot(snapshot))
            }
        };
        *known = Known { edition: known.edition + 1, relay, urls };
        Ok(())
    }
}

fn urls_of_range(range: &ManifestRange) -> HashMap<Hash, String> {
    objects_of_range(range).map(|object| (object.name, object.url.clone())).collect()
}

/// The objects of a range: of each channel the records, then the parts.
pub(super) fn objects_of_range(range: &ManifestRange) -> impl Iterator<Item = &ManifestObject> {
    range.channels.iter().flat_map(|channel| std::iter::once(&channel.object).chain(&channel.parts))
}

fn urls_of_snapshot(snapshot: &Snapshot) -> HashMap<Hash, String> {
    let objects = snapshot.tables.iter().flat_map(|table| &table.objects);
    objects.filter_map(|object| Some((object.name, object.url.clone()?))).collect()
}
