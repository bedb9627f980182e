use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    time::{Duration, Instant},
};

use wire::SourceName;

use crate::target::TargetError;

/// How often a held lock is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Takes the lock of (file, source), waiting so long; none where another run holds it still. It is a
/// `flock` on a file of its own, so that it ends with its holder however that ends. SQLite's own locks
/// on the database file are of another kind and would be lost with any handle to it that is closed.
pub(super) async fn lock(
    target: &str,
    file: &Path,
    source: &SourceName,
    wait: Duration,
) -> Result<Option<File>, TargetError> {
    let mut path = file.as_os_str().to_owned();
    path.push(format!(".tailwater-{source}.lock"));
    let refused = |error: std::io::Error| TargetError::Refused {
        target: target.to_owned(),
        why: format!("the lock file {}: {error}", Path::new(&path).display()),
        advice: "the user who runs this must be able to write to the file's folder".into(),
    };
    let opened = OpenOptions::new().create(true).append(true).open(&path).map_err(refused)?;
    let end = Instant::now() + wait;
    loop {
        match opened.try_lock() {
            Ok(()) => return Ok(Some(opened)),
            Err(TryLockError::Error(error)) => return Err(refused(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        tokio::time::sleep(left.min(RETRY)).await;
    }
}
