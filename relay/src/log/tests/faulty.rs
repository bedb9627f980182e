//! Engines that stop working: everything after a chosen operation fails, as after a crash or on a
//! full disk.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use wire::{Hash, Lsn};

use super::faults::{Faults, Step};
use crate::{
    feed::source,
    log::{
        Log, LogSettings,
        catalog::Catalog,
        engine::{FileObjects, SledRecords, SledTail},
        engines::Engines,
        error::StoreError,
        evidence::Evidence,
        head::HeadFile,
        objects::{Objects, Spool},
        records::{RecordBatch, Records},
        tail::{Item, StoredHeader, Tail},
    },
};

#[derive(Debug)]
struct Faulty<T> {
    inner: T,
    faults: Faults,
}

impl Tail for Faulty<SledTail> {
    fn append(&self, item: Item<'_>, replaces: Option<Lsn>) -> Result<(), StoreError> {
        self.faults.wait(Step::Append);
        self.faults.pass()?;
        self.inner.append(item, replaces)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.faults.wait(Step::Sync);
        self.faults.pass_sync()?;
        self.inner.sync()
    }

    fn header(&self, position: Lsn) -> Result<Option<StoredHeader>, StoreError> {
        self.inner.header(position)
    }

    fn piece(&self, through: Lsn, offset: u64, max: usize) -> Result<Bytes, StoreError> {
        self.inner.piece(through, offset, max)
    }

    fn sealable(&self) -> Option<Lsn> {
        self.inner.sealable()
    }

    fn has_room(&self) -> bool {
        self.inner.has_room()
    }

    fn trim(&self, through: Lsn) -> Result<(), StoreError> {
        self.faults.pass()?;
        self.inner.trim(through)
    }

    fn reopen(&self) -> Result<(), StoreError> {
        self.faults.pass()?;
        self.inner.reopen()
    }

    fn disk_bytes(&self) -> u64 {
        self.inner.disk_bytes()
    }
}

impl Records for Faulty<SledRecords> {
    fn write(&self, batch: RecordBatch) -> Result<(), StoreError> {
        self.faults.pass()?;
        self.inner.write(batch)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(key)
    }

    fn next(&self, prefix: &[u8], after: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        self.inner.next(prefix, after)
    }

    fn keys(&self, prefix: &[u8]) -> Result<Vec<Bytes>, StoreError> {
        self.inner.keys(prefix)
    }

    fn reopen(&self) -> Result<(), StoreError> {
        self.faults.pass()?;
        self.inner.reopen()
    }

    fn disk_bytes(&self) -> u64 {
        self.inner.disk_bytes()
    }
}

struct FaultySpool {
    inner: Box<dyn Spool>,
    faults: Faults,
}

impl Write for FaultySpool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Spool for FaultySpool {
    fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, StoreError> {
        self.inner.read_at(offset, max)
    }

    fn keep(self: Box<Self>, name: Hash) -> Result<(), StoreError> {
        self.faults.pass()?;
        self.inner.keep(name)
    }
}

impl Objects for Faulty<FileObjects> {
    fn spool(&self) -> Result<Box<dyn Spool>, StoreError> {
        self.faults.pass()?;
        let (inner, faults) = (self.inner.spool()?, self.faults.clone());
        Ok(Box::new(FaultySpool { inner, faults }))
    }

    fn len(&self, name: Hash) -> Result<Option<u64>, StoreError> {
        self.inner.len(name)
    }

    fn read(&self, name: Hash, offset: u64, max: usize) -> Result<Bytes, StoreError> {
        self.inner.read(name, offset, max)
    }

    fn stamp(&self, name: Hash) -> Result<Option<u64>, StoreError> {
        self.inner.stamp(name)
    }

    fn remove(&self, name: Hash) -> Result<(), StoreError> {
        self.faults.pass()?;
        self.inner.remove(name)
    }

    fn disk_bytes(&self) -> u64 {
        self.inner.disk_bytes()
    }
}

/// Opens the log over engines that obey `faults`.
pub(super) fn open_faulty(folder: &Path, settings: LogSettings, faults: &Faults) -> Log {
    let faults = || faults.clone();
    let (head_file, acknowledged) = HeadFile::open(&folder.join("HEAD")).unwrap();
    let records = SledRecords::open(&folder.join("catalog")).unwrap();
    let tail = SledTail::open(&folder.join("tail"), &source(), settings.tail_bytes).unwrap();
    let objects = FileObjects::open(&folder.join("objects")).unwrap();
    let engines = Engines {
        catalog: Catalog::new(Arc::new(Faulty { inner: records, faults: faults() })),
        tail: Arc::new(Faulty { inner: tail, faults: faults() }),
        objects: Arc::new(Faulty { inner: objects, faults: faults() }),
        head_file,
        acknowledged,
    };
    Log::over(engines, &source(), settings, Evidence::none()).unwrap().unwrap()
}
