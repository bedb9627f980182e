use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use wire::Lsn;

use super::{
    group::{Group, gather},
    pack::pack,
};
use crate::log::{
    catalog::Changes, closed::store_object, error::StoreError, range::ClosedRange, shared::Shared,
};

/// After an error, sealing is tried again at this pace.
const PAUSE: Duration = Duration::from_secs(1);

/// Wakes and stops the sealer.
#[derive(Debug)]
pub(crate) struct SealerHandle {
    wakes: Sender<()>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SealerHandle {
    /// Says that there may be something to seal.
    pub(crate) fn wake(&self) {
        let _ = self.wakes.send(());
    }

    /// Stops it, and waits until the range under way is done.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread that seals one log's tail.
#[derive(Debug)]
pub(crate) struct Sealer {
    shared: Arc<Shared>,
    stopping: Arc<AtomicBool>,
}

impl Sealer {
    /// Starts the thread.
    pub(crate) fn start(shared: Arc<Shared>) -> std::io::Result<SealerHandle> {
        let (wakes, woken) = channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let sealer = Self { shared, stopping: stopping.clone() };
        let thread =
            thread::Builder::new().name("seal".into()).spawn(move || sealer.run(&woken))?;
        Ok(SealerHandle { wakes, stopping, thread: Some(thread) })
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn run(&self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            while woken.try_recv().is_ok() {}
            while !self.stopping()
                && let Some(limit) = self.shared.tail.sealable()
            {
                let sealed = self.seal(limit);
                let failed = sealed.err().map(Arc::new);
                let pause = failed.is_some();
                if let Some(error) = &failed {
                    let source = &self.shared.standing.borrow().source.clone();
                    tracing::error!(%source, %error, "sealing failed; it is tried again");
                }
                *self.shared.seal_error() = failed;
                if pause {
                    let _ = woken.recv_timeout(PAUSE);
                }
            }
            if self.stopping() {
                return;
            }
        }
    }

    /// Seals up to `limit`, then lets the tail go up to there.
    pub(crate) fn seal(&self, limit: Lsn) -> Result<(), StoreError> {
        let shared = &self.shared;
        while let Some(state) = shared.catalog.closed()? {
            if self.stopping() {
                return Ok(());
            }
            let bytes = shared.settings.object_bytes;
            let Some(group) = gather(&*shared.tail, state, limit, bytes)? else { break };
            let range = match &group.closed {
                Some(objects) => {
                    ClosedRange { header: group.header.clone(), objects: objects.clone() }
                }
                None => self.seal_group(&group)?,
            };
            let mut changes = Changes::new();
            changes.range(&range);
            changes.closed(&group.state)?;
            shared.catalog.write(changes)?;
            let (after, through) = (range.header.after, range.header.through);
            tracing::debug!(%after, %through, objects = range.objects.len(), "sealed");
        }
        shared.tail.trim(limit)
    }

    fn seal_group(&self, group: &Group) -> Result<ClosedRange, StoreError> {
        let shared = &self.shared;
        let mut range = ClosedRange { header: group.header.clone(), objects: Vec::new() };
        for (part, slices) in range.header.channels.iter_mut().zip(&group.slices) {
            let level = shared.settings.seal_level;
            let (payload, raw_len) = pack(&*shared.tail, &part.channel, slices, level)?;
            part.raw_len = raw_len;
            part.stored_len = payload.len() as u64;
            let header = &group.header;
            let (catalog, objects) = (&shared.catalog, &*shared.objects);
            range.objects.push(store_object(catalog, objects, header, part, &payload)?);
        }
        Ok(range)
    }
}
