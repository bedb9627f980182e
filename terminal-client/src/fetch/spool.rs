use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Error, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::{Builder, NamedTempFile, TempDir};
use wire::Hash;

use super::error::SpoolError;

const PREFIX: &str = "tailwater-spool-";
const LOCK: &str = "lock";
/// Nobody takes so long to make a folder's lock.
const MAKING: Duration = Duration::from_secs(3600);

/// A folder for objects on their way, gone with this value; files in it go as soon as nobody needs
/// them. It must outlive every file that was fetched into it. What a killed process left beside it
/// is removed.
#[derive(Debug)]
pub struct Spool {
    folder: TempDir,
    /// Held as long as the folder is in use, so that others can tell it from one left behind.
    _lock: File,
}

impl Spool {
    /// In this folder, or in the system's for temporary files (`TMPDIR`).
    pub fn create(parent: Option<&Path>) -> Result<Self, SpoolError> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let failed = |source| SpoolError::Create { parent: parent.clone(), source };
        remove_left_behind(&parent);
        let folder = Builder::new().prefix(PREFIX).tempdir_in(&parent).map_err(failed)?;
        let lock = take(folder.path()).map_err(failed)?;
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A new, empty file for an object.
    pub(super) fn file(&self, name: Hash) -> Result<NamedTempFile, SpoolError> {
        Builder::new()
            .prefix(&format!("{name}-"))
            .tempfile_in(self.folder.path())
            .map_err(|source| self.failed(0, source))
    }

    /// Why a file in it could not be written, with so many bytes to go.
    pub(super) fn failed(&self, needed: u64, source: Error) -> SpoolError {
        spool_failed(self.path().to_owned(), needed, source)
    }
}

fn spool_failed(folder: PathBuf, needed: u64, source: Error) -> SpoolError {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            SpoolError::Full { folder, needed, source }
        }
        _ => SpoolError::Write { folder, source },
    }
}

/// The folder's lock, which bears its name only once it is held: a lock that could be taken by
/// another first would give the folder away as left behind.
fn take(folder: &Path) -> Result<File, Error> {
    let unnamed = folder.join("lock.new");
    let lock = OpenOptions::new().write(true).create_new(true).open(&unnamed)?;
    match lock.try_lock() {
        // Where a file system has no locks, nothing is ever taken for left behind.
        Ok(()) | Err(TryLockError::Error(_)) => {}
        Err(TryLockError::WouldBlock) => return Err(ErrorKind::WouldBlock.into()),
    }
    std::fs::rename(unnamed, folder.join(LOCK))?;
    Ok(lock)
}

/// Removes folders whose owner is gone: their lock can be taken. Whatever is in the way of that is
/// somebody else's, and stays.
fn remove_left_behind(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let folder = entry.path();
        let is_left = match File::options().write(true).open(folder.join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            // It is just being made, unless its maker was killed over it.
            Err(error) => error.kind() == ErrorKind::NotFound && is_old(&folder),
        };
        if is_left {
            match std::fs::remove_dir_all(&folder) {
                Ok(()) => tracing::debug!("removed {}, left behind", folder.display()),
                Err(error) => tracing::debug!("cannot remove {}: {error}", folder.display()),
            }
        }
    }
}

fn is_old(folder: &Path) -> bool {
    let age = std::fs::metadata(folder).and_then(|facts| facts.modified());
    age.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age >= MAKING))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_goes_what_is_in_use_stays() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join("tailwater-spool-dead");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join(LOCK), "").unwrap();
        std::fs::write(left.join("object"), "x").unwrap();
        // Killed in the making, long ago and just now.
        let (old, young) = ("tailwater-spool-old", "tailwater-spool-young");
        let (old, young) = (parent.path().join(old), parent.path().join(young));
        for (folder, age) in [(&old, MAKING * 2), (&young, MAKING / 2)] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("lock.new"), "").unwrap();
            let made = std::time::SystemTime::now() - age;
            File::open(folder).unwrap().set_modified(made).unwrap();
        }
        let foreign = parent.path().join("somebody-elses");
        std::fs::create_dir(&foreign).unwrap();

        let first = Spool::create(Some(parent.path())).unwrap();
        assert!(!left.exists() && foreign.exists());
        assert!(!old.exists() && young.exists());
        let file = first.file(Hash::of(b"x")).unwrap();
        let second = Spool::create(Some(parent.path())).unwrap();
        assert!(first.path().exists() && file.path().exists());
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn those_who_begin_together_keep_their_folders() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let spool = Spool::create(Some(parent.path())).unwrap();
                        spool.file(Hash::of(b"x")).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn errors_name_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        let missing = parent.path().join("none");
        let error = Spool::create(Some(&missing)).unwrap_err().to_string();
        assert!(error.contains(&missing.display().to_string()), "{error}");
        let spool = Spool::create(Some(parent.path())).unwrap();
        let error = spool.failed(123, Error::from_raw_os_error(libc::ENOSPC));
        let text = error.to_string();
        assert!(matches!(error, SpoolError::Full { needed: 123, .. }), "{text}");
        assert!(text.contains(&spool.path().display().to_string()), "{text}");
    }
}
