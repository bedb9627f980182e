use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{Semaphore, watch};

use super::{
    catalog::Catalog, error::StoreError, objects::Objects, ring::Ring, settings::LogSettings,
    snapshots::Fetched, standing::Standing, tail::Tail,
};

/// What writer, sealer and readers of one log share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: LogSettings,
    pub(super) tail: Arc<dyn Tail>,
    pub(super) catalog: Catalog,
    pub(super) objects: Arc<dyn Objects>,
    /// How the log stands as far as it is durable.
    pub(super) standing: watch::Sender<Arc<Standing>>,
    /// KiB of slices in memory that answers under way may hold on to.
    pub(super) pins: Arc<Semaphore>,
    /// Which snapshots are in use.
    pub(super) fetched: Fetched,
    ring: RwLock<Ring>,
    seal_error: Mutex<Option<Arc<StoreError>>>,
}

/// What answers under way may hold of the ring's slices, beyond the ring's own bound.
const PINNED_KIB: usize = 16 << 10;

impl Shared {
    pub(super) fn new(
        settings: LogSettings,
        tail: Arc<dyn Tail>,
        catalog: Catalog,
        objects: Arc<dyn Objects>,
        standing: Standing,
    ) -> Self {
        Self {
            ring: RwLock::new(Ring::new(settings.ring_bytes)),
            settings,
            tail,
            catalog,
            objects,
            standing: watch::Sender::new(Arc::new(standing)),
            pins: Arc::new(Semaphore::new(PINNED_KIB)),
            fetched: Fetched::default(),
            seal_error: Mutex::default(),
        }
    }

    pub(super) fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ring_mut(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why sealing does not get on, if it does not.
    pub(super) fn seal_error(&self) -> MutexGuard<'_, Option<Arc<StoreError>>> {
        self.seal_error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
