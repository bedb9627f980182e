//! sled, with its edges taken off. What each line here guards against was found by reading sled
//! 0.34.7 and by measuring; see `docs/decisions/0010-the-tail-on-sled.md`.

use std::{
    fs::{self, File},
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::log::error::StoreError;

/// The lock can outlive the database that held it by a little.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Pages above a quarter of a segment become files that leak, so segments are large.
const SEGMENT_SIZE: usize = 8 << 20;
const CACHE_BYTES: u64 = 8 << 20;

/// A key and its value.
pub(super) type Entry = (Bytes, Bytes);

/// Changes that become visible together.
#[derive(Default)]
pub(super) struct Batch(sled::Batch);

impl Batch {
    pub(super) fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.0.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.0.remove(key);
    }
}

/// One open database in a folder of its own.
pub(super) struct Database {
    db: sled::Db,
    /// For fsync: sled's own flush does not wait for the disk.
    file: File,
    path: PathBuf,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database in the folder, or makes it. Waits two seconds for its lock.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |source| StoreError::io(path, source);
        let made = !path.exists();
        fs::create_dir_all(path).map_err(io)?;
        remove_unfinished_snapshots(path)?;
        let db = open_patiently(path)?;
        let file = File::open(path.join("db")).map_err(io)?;
        let database = Self { db, file, path: path.to_owned() };
        database.check_blobs()?;
        if made {
            sync_folder(path)?;
            path.parent().map_or(Ok(()), sync_folder)?;
        }
        Ok(database)
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.guarded(|| self.db.get(key)).map(|value| value.map(|v| Bytes::copy_from_slice(&v)))
    }

    /// The first entry at or behind `key`.
    pub(super) fn first_from(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.guarded(|| self.db.range(key..).next().transpose()).map(|entry| entry.map(copied))
    }

    /// The last entry.
    pub(super) fn last(&self) -> Result<Option<Entry>, StoreError> {
        self.guarded(|| self.db.last()).map(|entry| entry.map(copied))
    }

    /// The next keys from `from`, at most `limit`.
    pub(super) fn keys(&self, from: Bound<&[u8]>, limit: usize) -> Result<Vec<Bytes>, StoreError> {
        let range: (Bound<&[u8]>, Bound<&[u8]>) = (from, Bound::Unbounded);
        self.guarded(|| {
            let keys = self.db.range::<&[u8], _>(range).keys().take(limit);
            keys.map(|key| key.map(|key| Bytes::copy_from_slice(&key))).collect()
        })
    }

    /// How many entries there are, and the bytes of their values.
    pub(super) fn contents(&self) -> Result<(u64, u64), StoreError> {
        self.guarded(|| {
            self.db.iter().values().try_fold((0, 0), |(entries, bytes), value| {
                Ok((entries + 1, bytes + value?.len() as u64))
            })
        })
    }

    pub(super) fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.guarded(|| self.db.apply_batch(batch.0.clone()))
    }

    /// Returns once everything applied before survives a power cut.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.guarded(|| self.db.flush())?;
        self.file.sync_data().map_err(|source| StoreError::io(&self.path, source))?;
        self.check_blobs()
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.len())
    }

    /// sled panics on some damage; a panic must not take the log's thread with it.
    fn guarded<T>(&self, work: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(result) => result.map_err(|error| sort(&self.path, error)),
            Err(panic) => Err(panicked(&self.path, panic.as_ref())),
        }
    }

    fn check_blobs(&self) -> Result<(), StoreError> {
        let blobs = self.path.join("blobs");
        let mut entries = match fs::read_dir(&blobs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::io(blobs, error)),
        };
        if entries.next().is_none() {
            return Ok(());
        }
        let detail = "the engine wrote a value beside its log, where it is never synced; this is a fault of the relay, please report it";
        Err(StoreError::Engine { path: blobs, detail: detail.to_owned() })
    }
}

fn copied((key, value): (sled::IVec, sled::IVec)) -> Entry {
    (Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value))
}

/// A snapshot that sled was killed while writing makes its open fail; without it nothing is lost.
/// Finished snapshots stay: recovery that has once cut a torn segment's end off is not repeatable
/// without the snapshot it wrote then (found by killing: the replay ended before the first record).
fn remove_unfinished_snapshots(path: &Path) -> Result<(), StoreError> {
    let io = |source| StoreError::io(path, source);
    for entry in fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path()).map_err(io)?;
        }
    }
    Ok(())
}

fn open_patiently(path: &Path) -> Result<sled::Db, StoreError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        let config = sled::Config::new()
            .path(path)
            .segment_size(SEGMENT_SIZE)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(500))
            .use_compression(false);
        let error = match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(error)) => sort(path, error),
            Err(panic) => panicked(path, panic.as_ref()),
        };
        if !matches!(error, StoreError::Locked { .. }) || Instant::now() > deadline {
            return Err(error);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn sort(path: &Path, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
            StoreError::Locked { path: path.to_owned() }
        }
        sled::Error::Io(error) => StoreError::io(path, error),
        sled::Error::Corruption { at, .. } => StoreError::corrupt(
            format!("database {}", path.display()),
            None,
            format_args!("the engine found damage ({at:?})"),
        ),
        other => StoreError::Engine { path: path.to_owned(), detail: other.to_string() },
    }
}

fn panicked(path: &Path, panic: &(dyn std::any::Any + Send)) -> StoreError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    StoreError::corrupt(
        format!("database {}", path.display()),
        None,
        format_args!("the engine panicked: {text}"),
    )
}

/// What opening a database may write: the unused end of its newest segment, and a snapshot.
const ROOM_TO_OPEN: u64 = 2 * SEGMENT_SIZE as u64;

/// Fails where the disk has no room to open `databases` databases. Opening one that cannot be opened
/// would end the reads that the one before it still serves.
pub(super) fn check_room(folder: &Path, databases: usize) -> Result<(), StoreError> {
    let found =
        rustix::fs::statvfs(folder).map_err(|error| StoreError::io(folder, error.into()))?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free < ROOM_TO_OPEN.saturating_mul(databases as u64) {
        return Err(StoreError::io(folder, io::ErrorKind::StorageFull.into()));
    }
    Ok(())
}

/// Makes names in a folder durable.
pub(in crate::log) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| StoreError::io(path, source))
}
