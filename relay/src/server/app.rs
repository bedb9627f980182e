use std::{path::Path, sync::Arc};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wire::SourceName;

use super::{metrics::recorder, problem::Refused, settings::ServerSettings, verified::Verified};
use crate::{
    access::{TokenError, Tokens},
    fleet::{Clock, Moment},
    log::StoreError,
    sources::{Source, Sources},
};

/// A data directory that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its logs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its tokens.
    #[error(transparent)]
    Tokens(#[from] TokenError),
}

/// KiB of slices in uploads under way, all together.
const UPLOAD_KIB: usize = 72 << 10;
/// Objects that are checked at once, each a chunk at a time.
const CHECKS: usize = 2;

/// What all requests share.
#[derive(Debug)]
pub struct App {
    pub(super) sources: Sources,
    pub(super) tokens: Tokens,
    pub(super) settings: ServerSettings,
    pub(super) clock: Clock,
    /// Cancelled when the relay stops: whoever waits wakes up.
    pub(super) stopping: CancellationToken,
    /// Free places for connections.
    pub(super) connections: Arc<Semaphore>,
    pub(super) uploads: Arc<Semaphore>,
    pub(super) checks: Arc<Semaphore>,
    pub(super) verified: Verified,
}

impl App {
    /// Opens the data directory. Blocks.
    pub fn open(data_dir: &Path, settings: ServerSettings) -> Result<Self, OpenError> {
        let clock = Clock::start();
        let _ = recorder();
        Ok(Self {
            sources: Sources::open(data_dir, settings.log.clone(), settings.fleet, clock)?,
            tokens: Tokens::open(data_dir)?.required(settings.tokens_required),
            connections: Arc::new(Semaphore::new(settings.max_connections)),
            settings,
            clock,
            stopping: CancellationToken::new(),
            uploads: Arc::new(Semaphore::new(UPLOAD_KIB)),
            checks: Arc::new(Semaphore::new(CHECKS)),
            verified: Verified::default(),
        })
    }

    /// Connections that are open.
    pub(super) fn open_connections(&self) -> usize {
        self.settings.max_connections.saturating_sub(self.connections.available_permits())
    }

    /// The source of that name.
    pub(super) fn source(&self, name: &str) -> Result<Arc<Source>, Refused> {
        let name = parse_source(name)?;
        match self.sources.get(&name) {
            Some(Ok(source)) => Ok(source),
            Some(Err(error)) => Err(Refused::from(&*error)),
            None => Err(Refused::unknown_source(&name)),
        }
    }
}

/// A source's name from a path.
pub(super) fn parse_source(name: &str) -> Result<SourceName, Refused> {
    SourceName::new(name).map_err(|error| Refused::bad_request(error.to_string()))
}

/// Seconds since 1970.
pub(super) fn unix_seconds(now: Moment) -> u64 {
    u64::try_from(now.wall.as_second()).unwrap_or(0)
}

/// Threads that may block at once: a thousand polls that wake together must not become a thousand
/// threads, each with memory of its own.
static BLOCKING: Semaphore = Semaphore::const_new(24);

/// Work that blocks, off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let failed = |error: &dyn std::error::Error| Refused::internal(error.to_string());
    let _place = BLOCKING.acquire().await.map_err(|error| failed(&error))?;
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn only_so_many_threads_block() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let mut all = Vec::new();
        for _ in 0..40 {
            let held = held.clone();
            all.push(Box::pin(blocking(move || {
                let held = held.lock().unwrap();
                held.recv().is_err()
            })));
        }
        for work in &mut all {
            assert!(work.as_mut().now_or_never().is_none());
        }
        assert_eq!(BLOCKING.available_permits(), 0);
        drop(release);
        for work in all {
            assert!(work.await.unwrap());
        }
    }
}
