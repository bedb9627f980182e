//! What is to go wrong, and when.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
};

use crate::log::error::StoreError;

/// How many operations that change something still work.
#[derive(Clone, Debug)]
pub(super) struct Faults(Arc<State>);

#[derive(Debug)]
struct State {
    left: AtomicI64,
    sync_fails: AtomicBool,
    held: Mutex<Option<Step>>,
    waits: AtomicBool,
}

/// What is done to the tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Append,
    Sync,
}

impl Faults {
    pub(super) fn none() -> Self {
        let (left, held) = (AtomicI64::new(i64::MAX), Mutex::default());
        let (sync_fails, waits) = (false.into(), false.into());
        Self(Arc::new(State { left, sync_fails, held, waits }))
    }

    /// Lets `count` more operations work.
    pub(super) fn after(&self, count: i64) {
        self.0.left.store(count, Ordering::SeqCst);
    }

    /// Whether something failed.
    pub(super) fn struck(&self) -> bool {
        self.0.left.load(Ordering::SeqCst) < 0
    }

    /// Lets the next sync of the tail fail, and nothing else.
    pub(super) fn fail_one_sync(&self) {
        self.0.sync_fails.store(true, Ordering::SeqCst);
    }

    /// Lets one kind of step wait, or none any longer.
    pub(super) fn hold(&self, held: Option<Step>) {
        *self.0.held.lock().unwrap() = held;
    }

    /// Whether a step has had to wait.
    pub(super) fn waits(&self) -> bool {
        self.0.waits.load(Ordering::SeqCst)
    }

    pub(super) fn pass(&self) -> Result<(), StoreError> {
        if self.0.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.0.left.store(-1, Ordering::SeqCst);
        Err(full())
    }

    pub(super) fn wait(&self, step: Step) {
        while *self.0.held.lock().unwrap() == Some(step) {
            self.0.waits.store(true, Ordering::SeqCst);
            thread::yield_now();
        }
    }

    pub(super) fn pass_sync(&self) -> Result<(), StoreError> {
        self.pass()?;
        if self.0.sync_fails.swap(false, Ordering::SeqCst) { Err(full()) } else { Ok(()) }
    }
}

fn full() -> StoreError {
    StoreError::io("faulty", io::ErrorKind::StorageFull.into())
}
