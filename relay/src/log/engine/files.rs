//! Objects as plain files: `objects/ab/ab12…`, written beside their place, synced, renamed.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use wire::Hash;

use super::database::sync_folder;
use crate::log::{
    error::StoreError,
    objects::{Objects, Spool},
};

/// A folder of objects with a two-letter fan-out.
#[derive(Debug)]
pub(crate) struct FileObjects {
    folder: PathBuf,
    bytes: Arc<AtomicU64>,
}

impl FileObjects {
    /// Opens the folder, or makes it; drops what was under construction.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let io = |source| StoreError::io(folder, source);
        let unfinished = folder.join("tmp");
        if unfinished.exists() {
            // Emptied and not made anew: there may be no room for a folder.
            for entry in fs::read_dir(&unfinished).map_err(io)? {
                fs::remove_file(entry.map_err(io)?.path()).map_err(io)?;
            }
        } else {
            fs::create_dir_all(&unfinished).map_err(io)?;
            sync_folder(folder)?;
        }
        let bytes = Arc::new(AtomicU64::new(size_of_all(folder).map_err(io)?));
        Ok(Self { folder: folder.to_owned(), bytes })
    }

    fn path(&self, name: Hash) -> PathBuf {
        let name = name.to_string();
        self.folder.join(name.get(..2).unwrap_or_default()).join(name)
    }

    fn metadata(&self, name: Hash) -> Result<Option<fs::Metadata>, StoreError> {
        let path = self.path(name);
        match fs::metadata(&path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(path, error)),
        }
    }
}

fn size_of_all(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for shelf in fs::read_dir(folder)? {
        for entry in fs::read_dir(shelf?.path())? {
            bytes += entry?.metadata()?.len();
        }
    }
    Ok(bytes)
}

#[derive(Debug)]
struct FileSpool {
    file: tempfile::NamedTempFile,
    folder: PathBuf,
    bytes: Arc<AtomicU64>,
}

impl Write for FileSpool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spool for FileSpool {
    fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, StoreError> {
        read_at(self.file.as_file(), self.file.path(), offset, max)
    }

    fn keep(self: Box<Self>, name: Hash) -> Result<(), StoreError> {
        let path = self.file.path().to_owned();
        let io = |source| StoreError::io(&path, source);
        let text = name.to_string();
        let shelf = self.folder.join(text.get(..2).unwrap_or_default());
        if !shelf.exists() {
            fs::create_dir_all(&shelf).map_err(io)?;
            sync_folder(&self.folder)?;
        }
        self.file.as_file().sync_all().map_err(io)?;
        let len = self.file.as_file().metadata().map_err(io)?.len();
        // Over an object of that name that is there: should that be damaged, it is whole again.
        let place = shelf.join(text);
        let before = fs::metadata(&place).map_or(0, |found| found.len());
        self.file.persist(place).map_err(|error| io(error.error))?;
        self.bytes.fetch_add(len, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
        sync_folder(&shelf)
    }
}

fn read_at(file: &File, path: &Path, offset: u64, max: usize) -> Result<Bytes, StoreError> {
    let io = |source| StoreError::io(path, source);
    let left = file.metadata().map_err(io)?.len().saturating_sub(offset);
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(max);
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset).map_err(io)?;
    Ok(bytes.into())
}

impl Objects for FileObjects {
    fn spool(&self) -> Result<Box<dyn Spool>, StoreError> {
        let folder = self.folder.join("tmp");
        let file = tempfile::NamedTempFile::new_in(&folder)
            .map_err(|source| StoreError::io(folder, source))?;
        Ok(Box::new(FileSpool { file, folder: self.folder.clone(), bytes: self.bytes.clone() }))
    }

    fn len(&self, name: Hash) -> Result<Option<u64>, StoreError> {
        Ok(self.metadata(name)?.map(|found| found.len()))
    }

    fn read(&self, name: Hash, offset: u64, max: usize) -> Result<Bytes, StoreError> {
        let path = self.path(name);
        let file = File::open(&path).map_err(|source| StoreError::io(&path, source))?;
        read_at(&file, &path, offset, max)
    }

    fn stamp(&self, name: Hash) -> Result<Option<u64>, StoreError> {
        Ok(self.metadata(name)?.map(|found| {
            let mut hasher = DefaultHasher::new();
            (found.ino(), found.len(), found.mtime(), found.mtime_nsec()).hash(&mut hasher);
            hasher.finish()
        }))
    }

    fn remove(&self, name: Hash) -> Result<(), StoreError> {
        let Some(found) = self.metadata(name)? else { return Ok(()) };
        let path = self.path(name);
        fs::remove_file(&path).map_err(|source| StoreError::io(path, source))?;
        self.bytes.fetch_sub(found.len(), Ordering::Relaxed);
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
