use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units of this many.
const UNIT: u64 = 64 << 10;

/// So many bytes may be there at a time. What is larger than all of it goes alone.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    units: Arc<Semaphore>,
    total: u32,
}

/// A share of a budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    _units: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// A budget in bytes.
    pub(super) fn of_bytes(bytes: u64) -> Self {
        Self::of_units(u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX >> 3))
    }

    /// A budget in units that are counted by [`Budget::take_units`].
    pub(super) fn of_units(units: u32) -> Self {
        let total = units.clamp(1, u32::MAX >> 3);
        let units = usize::try_from(total).unwrap_or(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), total }
    }

    /// Waits until so many bytes are free.
    pub(super) async fn take_bytes(&self, bytes: u64) -> Share {
        self.take_units(u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)).await
    }

    /// Waits until so many units are free.
    pub(super) async fn take_units(&self, units: u32) -> Share {
        let units = units.clamp(1, self.total);
        // The semaphore is never closed.
        Share { _units: Arc::clone(&self.units).acquire_many_owned(units).await.ok() }
    }

    /// Waits until everything is free.
    pub(super) async fn take_all(&self) -> Share {
        self.take_units(self.total).await
    }
}
