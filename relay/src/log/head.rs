//! The HEAD file: a lower bound of what was acknowledged, kept outside the database so that a
//! database that lost its end, or everything, is found out.
//!
//! ```text
//! file := slot slot                    (4096 bytes each, written in turn, synced)
//! slot := "TWHD" ‖ version u8 ‖ turn u64 ‖ lsn u64 ‖ hash 32 ‖ crc32c u32
//! ```
//!
//! A write that is torn by a crash leaves the other slot, which is older but still a lower bound.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use wire::{ChannelHashes, Hash, Lsn};

use super::error::StoreError;

const MAGIC: [u8; 5] = *b"TWHD\x01";
const SLOT_LEN: usize = 4096;
const USED_LEN: usize = 57;

/// What was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The newest position.
    pub(super) lsn: Lsn,
    /// [`digest`] of the channels' hashes there.
    pub(super) hash: Hash,
}

/// One hash over the running hashes of all channels.
pub(super) fn digest(hashes: &ChannelHashes) -> Hash {
    let mut hasher = blake3::Hasher::new();
    for (channel, hash) in hashes.iter() {
        hasher.update(&(channel.as_str().len() as u64).to_be_bytes());
        hasher.update(channel.as_str().as_bytes());
        hasher.update(hash.as_bytes());
    }
    hasher.finalize().into()
}

/// The open file.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: File,
    path: PathBuf,
    turn: u64,
}

impl HeadFile {
    /// Makes the file, which says that nothing was acknowledged yet.
    pub(super) fn create(path: &Path) -> Result<(), StoreError> {
        let io = |source| StoreError::io(path, source);
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).to_owned();
        let file = options.open(path).map_err(io)?;
        file.set_len(2 * SLOT_LEN as u64).map_err(io)?;
        let mut head = Self { file, path: path.to_owned(), turn: 0 };
        let nothing = Head { lsn: Lsn::ZERO, hash: digest(&ChannelHashes::default()) };
        // Both slots, so that their room on the disk is taken before it can be full.
        head.write(nothing)?;
        head.write(nothing)?;
        head.file.sync_all().map_err(io)
    }

    /// Opens the file: what it says, by its newest slot that is whole.
    pub(super) fn open(path: &Path) -> Result<(Self, Head), StoreError> {
        let io = |source| StoreError::io(path, source);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(io)?;
        let slots = [0, SLOT_LEN as u64].map(|at| read_slot(&file, at));
        let newest = slots.into_iter().flatten().max_by_key(|(turn, _)| *turn);
        let (turn, head) = newest.ok_or_else(|| {
            let detail = "neither of its slots is whole, so nothing shows whether the log has lost its end; \
                          put the folder back from a backup, or move the source's folder away to begin anew";
            StoreError::corrupt(format!("HEAD file {}", path.display()), None, detail)
        })?;
        Ok((Self { file, path: path.to_owned(), turn }, head))
    }

    /// Writes it, durable when it returns.
    pub(super) fn write(&mut self, head: Head) -> Result<(), StoreError> {
        let turn = self.turn + 1;
        let at = (turn % 2) * SLOT_LEN as u64;
        let mut slot = encode(turn, head);
        slot.resize(SLOT_LEN, 0);
        self.file
            .write_all_at(&slot, at)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| StoreError::io(&self.path, source))?;
        self.turn = turn;
        Ok(())
    }
}

fn encode(turn: u64, head: Head) -> Vec<u8> {
    let mut out = Vec::with_capacity(SLOT_LEN);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&turn.to_be_bytes());
    out.extend_from_slice(&head.lsn.get().to_be_bytes());
    out.extend_from_slice(head.hash.as_bytes());
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    out
}

fn read_slot(file: &File, at: u64) -> Option<(u64, Head)> {
    let mut slot = [0; USED_LEN];
    file.read_exact_at(&mut slot, at).ok()?;
    let number = |from: usize| {
        let bytes = slot.get(from..from + 8)?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    };
    let turn = number(5)?;
    let hash = Hash::from_bytes(slot.get(21..53)?.try_into().ok()?);
    let head = Head { lsn: Lsn::new(number(13)?), hash };
    (encode(turn, head) == slot).then_some((turn, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lsn: u64) -> Head {
        Head { lsn: Lsn::new(lsn), hash: Hash::of(&lsn.to_be_bytes()) }
    }

    #[test]
    fn remembers_the_newest_and_survives_a_torn_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("HEAD");
        HeadFile::create(&path).unwrap();
        let (mut file, found) = HeadFile::open(&path).unwrap();
        assert_eq!(found.lsn, Lsn::ZERO);
        for lsn in 1..10 {
            file.write(head(lsn)).unwrap();
            assert_eq!(HeadFile::open(&path).unwrap().1, head(lsn));
        }
        let at = (file.turn % 2) * SLOT_LEN as u64;
        file.file.write_all_at(b"torn", at + 20).unwrap();
        assert_eq!(HeadFile::open(&path).unwrap().1, head(8));
    }

    #[test]
    fn truncated_or_overwritten_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("HEAD");
        for damaged in [vec![], vec![0; 2 * SLOT_LEN], vec![0xFF; 100]] {
            std::fs::write(&path, damaged).unwrap();
            let error = HeadFile::open(&path).unwrap_err().to_string();
            assert!(error.contains("neither of its slots"), "{error}");
        }
        assert!(matches!(HeadFile::open(&folder.path().join("none")), Err(StoreError::Io { .. })));
    }
}
