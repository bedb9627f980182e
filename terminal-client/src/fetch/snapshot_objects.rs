use std::{collections::VecDeque, sync::Arc};

use futures_util::{StreamExt, stream::FuturesOrdered};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use wire::{ChannelName, Snapshot};

use super::{
    budget::{Budget, Share},
    error::FetchError,
    objects::{Wanted, fetch},
    relays::Relays,
    spool::Spool,
    whereabouts::Whereabouts,
};
use crate::range::ObjectFile;

/// An object of a snapshot, in the spool, of whose room it has a share: whoever holds one must not wait for
/// the next.
#[derive(Debug)]
pub struct SnapshotPart {
    /// The table's place in the snapshot's list.
    pub table: usize,
    /// The object's place in the table's list.
    pub object: usize,
    /// Its bytes; the file goes when this is dropped.
    pub file: ObjectFile,
    _share: Share,
}

/// The objects of a snapshot, in the order of its tables and their objects, fetched ahead while the
/// one before is loaded, as far as the spool's budget goes. Dropping it stops the fetching.
#[derive(Debug)]
pub struct SnapshotObjects {
    queue: mpsc::UnboundedReceiver<Result<SnapshotPart, FetchError>>,
    left: usize,
    _task: AbortOnDropHandle<()>,
}

impl SnapshotObjects {
    /// Begins to fetch, in a task of its own: call it in a runtime. `channels` are those that the
    /// snapshot was asked for with; `is_in` tells what is not wanted, by the places of table and object.
    pub fn start(
        relays: &Arc<Relays>,
        spool: &Arc<Spool>,
        snapshot: &Snapshot,
        channels: &[ChannelName],
        is_in: impl Fn(usize, usize) -> bool,
    ) -> Self {
        let (out, queue) = mpsc::unbounded_channel();
        let wanted: VecDeque<(usize, usize, Wanted)> = snapshot
            .tables
            .iter()
            .enumerate()
            .flat_map(|(table, of)| {
                let number = move |(object, of): (usize, &wire::SnapshotObject)| {
                    (table, object, Wanted { name: of.name, len: of.len })
                };
                of.objects.iter().enumerate().map(number)
            })
            .filter(|(table, object, _)| !is_in(*table, *object))
            .collect();
        let left = wanted.len();
        let fetching = Fetching {
            relays: Arc::clone(relays),
            spool: Arc::clone(spool),
            whereabouts: Whereabouts::of_snapshot(snapshot, channels),
            snapshot: snapshot.lsn,
            out,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(fetching.run(wanted)));
        Self { queue, left, _task: task }
    }

    /// The next object; `None` behind the last.
    pub async fn next(&mut self) -> Result<Option<SnapshotPart>, FetchError> {
        if self.left == 0 {
            return Ok(None);
        }
        let part = self.queue.recv().await.unwrap_or(Err(FetchError::Ended))?;
        self.left -= 1;
        Ok(Some(part))
    }
}

struct Fetching {
    relays: Arc<Relays>,
    spool: Arc<Spool>,
    whereabouts: Whereabouts,
    snapshot: wire::Lsn,
    out: mpsc::UnboundedSender<Result<SnapshotPart, FetchError>>,
}

impl Fetching {
    async fn run(self, mut wanted: VecDeque<(usize, usize, Wanted)>) {
        let settings = self.relays.settings();
        let parallel = settings.parallel_objects.max(1);
        let budget = Budget::of_bytes(settings.spool_bytes);
        let mut running = FuturesOrdered::new();
        loop {
            let next = wanted.front().copied().filter(|_| running.len() < parallel);
            // Shares are taken in the order in which objects are handed out, so that the one that is
            // waited for always has its share.
            let len = next.map_or(0, |(.., wanted)| wanted.len);
            tokio::select! {
                share = budget.take_bytes(len), if next.is_some() => {
                    if let Some((table, object, wanted)) = wanted.pop_front() {
                        running.push_back(self.fetch(table, object, wanted, share));
                    }
                }
                Some(done) = running.next(), if !running.is_empty() => {
                    let ended = done.is_err();
                    if self.out.send(done).is_err() || ended {
                        return;
                    }
                }
                else => return,
            }
        }
    }

    async fn fetch(
        &self,
        table: usize,
        object: usize,
        wanted: Wanted,
        share: Share,
    ) -> Result<SnapshotPart, FetchError> {
        match fetch(&self.relays, &self.spool, &self.whereabouts, wanted).await? {
            Some(file) => Ok(SnapshotPart { table, object, file, _share: share }),
            None => {
                let (relay, lsn) = (self.relays.in_use(), self.snapshot);
                Err(FetchError::SnapshotGone { relay, lsn })
            }
        }
    }
}
