//! The tail on sled: one small database after another, at most two at a time.

use std::{
    collections::VecDeque,
    fs,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::{Bytes, BytesMut};
use wire::{Lsn, Slice, SourceName};

use super::{
    chunk::{self, Kind, Label, PIECE, key, parse_key},
    database::{Batch, Database, check_room, sync_folder},
};
use crate::log::{
    error::StoreError,
    range::ClosedRange,
    tail::{Item, StoredHeader, Tail},
};

/// What an entry costs beside its bytes.
const ENTRY_BYTES: u64 = 256;
/// A batch is copied within the engine: bounded, so that its memory is.
const BATCH_BYTES: usize = 1 << 20;

/// What a database's folder is called once it is of no use.
const DROPPED: &str = "dropped";

/// Databases `tail/0`, `tail/1`, …; a fresh one when the newest has grown to `bytes_per_database`.
#[derive(Debug)]
pub(crate) struct SledTail {
    folder: PathBuf,
    source: u64,
    bytes_per_database: u64,
    databases: RwLock<VecDeque<Numbered>>,
}

#[derive(Debug)]
struct Numbered {
    number: u64,
    database: Database,
    bytes: u64,
    /// The end of its newest slice.
    through: Option<Lsn>,
    sealed: bool,
}

impl SledTail {
    /// Opens the databases below `folder`, or begins the first.
    pub(crate) fn open(
        folder: &Path,
        source: &SourceName,
        bytes_per_database: u64,
    ) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|source| StoreError::io(folder, source))?;
        let tail = Self {
            folder: folder.to_owned(),
            source: chunk::source_mark(source),
            bytes_per_database,
            databases: RwLock::default(),
        };
        tail.reopen()?;
        Ok(tail)
    }

    fn read(&self) -> RwLockReadGuard<'_, VecDeque<Numbered>> {
        self.databases.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, VecDeque<Numbered>> {
        self.databases.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let io = |source| StoreError::io(&self.folder, source);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn open_numbered(&self, number: u64) -> Result<Numbered, StoreError> {
        let database = Database::open(&self.folder.join(number.to_string()))?;
        let through = last_slice(&database)?;
        let (entries, value_bytes) = database.contents()?;
        let bytes = value_bytes + entries * ENTRY_BYTES;
        Ok(Numbered { number, database, bytes, through, sealed: false })
    }

    fn rotate_if_full(&self, databases: &mut VecDeque<Numbered>) -> Result<(), StoreError> {
        let Some(newest) = databases.back() else {
            databases.push_back(self.open_numbered(0)?);
            return Ok(());
        };
        let older = databases.len() > 1;
        if newest.bytes < self.bytes_per_database || (older && !front_sealed(databases)) {
            return Ok(());
        }
        let next = newest.number + 1;
        newest.database.sync()?;
        if older {
            self.drop_oldest(databases)?;
        }
        databases.push_back(self.open_numbered(next)?);
        Ok(())
    }

    fn drop_oldest(&self, databases: &mut VecDeque<Numbered>) -> Result<(), StoreError> {
        let Some(oldest) = databases.pop_front() else { return Ok(()) };
        let path = self.folder.join(oldest.number.to_string());
        drop(oldest);
        // Out of the way at once: half a database would be opened as an empty one.
        let dropped = path.with_extension(DROPPED);
        fs::rename(&path, &dropped).map_err(|source| StoreError::io(&path, source))?;
        sync_folder(&self.folder)?;
        fs::remove_dir_all(&dropped).map_err(|source| StoreError::io(&dropped, source))
    }

    /// Removes what an interrupted drop left.
    fn clear_dropped(&self) -> Result<(), StoreError> {
        let io = |source| StoreError::io(&self.folder, source);
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|extension| extension == DROPPED) {
                fs::remove_dir_all(&path).map_err(io)?;
            }
        }
        Ok(())
    }

    fn labelled(
        &self,
        value: &Bytes,
        through: Lsn,
        place: u32,
    ) -> Result<(Label, Bytes), StoreError> {
        let corrupt = |after, detail: String| {
            let advice = format!("{detail}; take the log again from upstream or a new snapshot");
            StoreError::corrupt("slice", Some(after), advice)
        };
        let (label, piece) = chunk::decode(value).map_err(|detail| corrupt(through, detail))?;
        if label.source != self.source {
            let detail = "it is of another source: was the folder renamed? Give it its name back";
            return Err(StoreError::corrupt("slice", Some(label.after), detail));
        }
        if (label.through, label.chunk) != (through, place) {
            return Err(corrupt(label.after, "a value stands under another's key".to_owned()));
        }
        Ok((label, piece))
    }
}

fn front_sealed(databases: &VecDeque<Numbered>) -> bool {
    databases.front().is_some_and(|oldest| oldest.sealed)
}

/// The end of the newest complete slice. A slice's first piece is written last: what has none was
/// cut off by a crash, was never acknowledged, and is dropped.
fn last_slice(database: &Database) -> Result<Option<Lsn>, StoreError> {
    while let Some((last, _)) = database.last()? {
        let Some((through, _)) = parse_key(&last) else {
            return Err(StoreError::corrupt("tail", None, "a key that is not ours"));
        };
        let first = key(through, 0);
        if database.get(&first)?.is_some() {
            return Ok(Some(through));
        }
        let mut torn = Batch::default();
        for key in database.keys(Bound::Included(&first), usize::MAX)? {
            torn.remove(&key);
        }
        database.apply(torn)?;
    }
    Ok(None)
}

/// Where a key's slice must be looked for: behind `position`.
fn behind(position: Lsn) -> Option<[u8; 12]> {
    position.get().checked_add(1).map(|next| key(Lsn::new(next), 0))
}

/// The first piece comes last: an item is there when its first piece is.
fn write_pieces(
    database: &Database,
    label: Label,
    bytes: &[u8],
    replaces: Option<Lsn>,
) -> Result<(), StoreError> {
    let through = label.through;
    let (first, rest) = bytes.split_at_checked(PIECE).unwrap_or((bytes, &[]));
    let mut batch = Batch::default();
    let mut batched = 0;
    for (chunk, piece) in (1_u32..).zip(rest.chunks(PIECE)) {
        batch.put(&key(through, chunk), chunk::encode(&Label { chunk, ..label }, piece));
        batched += piece.len();
        if batched >= BATCH_BYTES {
            database.apply(std::mem::take(&mut batch))?;
            batched = 0;
        }
    }
    batch.put(&key(through, 0), chunk::encode(&label, first));
    if let Some(replaced) = replaces {
        batch.remove(&key(replaced, 0));
    }
    database.apply(batch)
}

/// The header at the front of an item; none where more of it is needed.
fn parse(label: &Label, front: &[u8], whole: bool) -> Result<Option<StoredHeader>, String> {
    let len = label.len;
    match label.kind {
        Kind::Slice => {
            let (header, at) = Slice::header_of(front).map_err(|error| error.to_string())?;
            Ok(Some(StoredHeader { header, objects: None, payload_at: at as u64, len }))
        }
        Kind::Range if whole => {
            let ClosedRange { header, objects } = ClosedRange::decode(front)?;
            Ok(Some(StoredHeader { header, objects: Some(objects), payload_at: len, len }))
        }
        Kind::Range => Ok(None),
    }
}

impl Tail for SledTail {
    fn append(&self, item: Item<'_>, replaces: Option<Lsn>) -> Result<(), StoreError> {
        // The engine itself must not meet a full disk: after a failed write it was seen to lose, when
        // it was opened again, what had been synced before.
        check_room(&self.folder, 1)?;
        let mut databases = self.write();
        if replaces.is_none() || databases.is_empty() {
            self.rotate_if_full(&mut databases)?;
        }
        let Some(newest) = databases.back_mut() else { return Ok(()) };
        let (kind, bytes) = match item {
            Item::Slice(slice) => (Kind::Slice, slice.bytes().clone()),
            Item::Range(range) => (Kind::Range, range.encode().into()),
        };
        let label = Label {
            kind,
            source: self.source,
            after: item.header().after,
            through: item.header().through,
            chunk: 0,
            len: bytes.len() as u64,
        };
        let replaces = replaces.filter(|_| newest.through == replaces);
        write_pieces(&newest.database, label, &bytes, replaces)?;
        if replaces.is_none() {
            let pieces = (bytes.len() / PIECE) as u64 + 1;
            newest.bytes += bytes.len() as u64 + pieces * ENTRY_BYTES;
        }
        newest.through = Some(label.through);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.read().back().map_or(Ok(()), |newest| newest.database.sync())
    }

    fn header(&self, position: Lsn) -> Result<Option<StoredHeader>, StoreError> {
        let databases = self.read();
        let holds = |n: &&Numbered| n.through.is_some_and(|through| through > position);
        let Some(database) = databases.iter().find(holds).map(|n| &n.database) else {
            return Ok(None);
        };
        let Some(from) = behind(position) else { return Ok(None) };
        let Some((found, value)) = database.first_from(&from)? else { return Ok(None) };
        let torn = || StoreError::corrupt("slice", Some(position), "its first piece is missing");
        let (through, place) = parse_key(&found).filter(|(_, p)| *p == 0).ok_or_else(torn)?;
        let (label, front) = self.labelled(&value, through, place)?;
        let mut front = BytesMut::from(front.as_ref());
        let damaged = |error: String| StoreError::corrupt("slice", Some(label.after), error);
        for place in 1.. {
            let whole = front.len() as u64 >= label.len;
            match parse(&label, &front, whole) {
                Ok(Some(stored)) => return Ok(Some(stored)),
                Err(error) if whole => return Err(damaged(error)),
                _ => {
                    let value = database.get(&key(through, place))?.ok_or_else(torn)?;
                    front.extend_from_slice(&self.labelled(&value, through, place)?.1);
                }
            }
        }
        Ok(None)
    }

    fn piece(&self, through: Lsn, offset: u64, max: usize) -> Result<Bytes, StoreError> {
        let place = u32::try_from(offset / PIECE as u64).unwrap_or(u32::MAX);
        let within = usize::try_from(offset % PIECE as u64).unwrap_or(0);
        for numbered in self.read().iter().filter(|n| n.through >= Some(through)) {
            if let Some(value) = numbered.database.get(&key(through, place))? {
                let (label, piece) = self.labelled(&value, through, place)?;
                let piece = piece.slice(within.min(piece.len())..);
                if piece.is_empty() {
                    let detail = "the slice ends before its length";
                    return Err(StoreError::corrupt("slice", Some(label.after), detail));
                }
                return Ok(piece.slice(..max.min(piece.len())));
            }
        }
        Err(StoreError::Moved { after: through })
    }

    fn sealable(&self) -> Option<Lsn> {
        let databases = self.read();
        if databases.len() < 2 {
            return None;
        }
        let oldest = databases.front().filter(|oldest| !oldest.sealed)?;
        Some(oldest.through.unwrap_or_default())
    }

    fn has_room(&self) -> bool {
        let databases = self.read();
        databases.len() < 2
            || front_sealed(&databases)
            || databases.back().is_none_or(|newest| newest.bytes < self.bytes_per_database)
    }

    fn trim(&self, through: Lsn) -> Result<(), StoreError> {
        // Only marked: readers may be under way in it, so it goes when its room is needed.
        let mut databases = self.write();
        if databases.len() > 1
            && let Some(oldest) = databases.front_mut()
        {
            oldest.sealed = oldest.through.is_none_or(|last| last <= through);
        }
        Ok(())
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut databases = self.write();
        if !databases.is_empty() {
            check_room(&self.folder, databases.len())?;
        }
        databases.clear();
        self.clear_dropped()?;
        for number in self.numbers()? {
            databases.push_back(self.open_numbered(number)?);
        }
        if databases.is_empty() {
            databases.push_back(self.open_numbered(0)?);
        }
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.read().iter().map(|numbered| numbered.database.disk_bytes()).sum()
    }
}
