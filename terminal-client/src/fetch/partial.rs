use std::sync::Arc;

use tempfile::TempPath;
use tokio::{
    fs::File,
    io::{AsyncSeekExt, AsyncWriteExt, BufWriter},
};
use wire::Hash;

use super::{error::SpoolError, spool::Spool};
use crate::range::ObjectFile;

/// Bytes that are gathered before they go to the file.
const BUFFER: usize = 256 << 10;

/// An object of which a part is there: in the spool, and hashed.
#[derive(Debug)]
pub(super) struct Partial {
    name: Hash,
    len: u64,
    spool: Arc<Spool>,
    file: BufWriter<File>,
    path: TempPath,
    hasher: blake3::Hasher,
    received: u64,
}

impl Partial {
    /// Nothing yet of the object `name` of `len` bytes.
    pub(super) fn begin(name: Hash, len: u64, spool: &Arc<Spool>) -> Result<Self, SpoolError> {
        let (file, path) = spool.file(name)?.into_parts();
        Ok(Self {
            name,
            len,
            spool: Arc::clone(spool),
            file: BufWriter::with_capacity(BUFFER, File::from_std(file)),
            path,
            hasher: blake3::Hasher::new(),
            received: 0,
        })
    }

    pub(super) fn name(&self) -> Hash {
        self.name
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes that are there.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Bytes that are missing.
    pub(super) fn missing(&self) -> u64 {
        self.len.saturating_sub(self.received)
    }

    /// Adds the bytes that follow.
    pub(super) async fn append(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.hasher.update(bytes);
        self.received += bytes.len() as u64;
        let needed = self.missing() + bytes.len() as u64;
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| self.spool.failed(needed, error))
    }

    /// Forgets what is there.
    pub(super) async fn restart(&mut self) -> Result<(), SpoolError> {
        self.hasher.reset();
        self.received = 0;
        let emptied = async {
            self.file.flush().await?;
            self.file.rewind().await?;
            self.file.get_mut().set_len(0).await
        };
        emptied.await.map_err(|error| self.spool.failed(self.len, error))
    }

    /// What the bytes that are there hash to.
    pub(super) fn hash(&self) -> Hash {
        self.hasher.finalize().into()
    }

    /// The object, all of whose bytes are there and were found right.
    pub(super) async fn finish(mut self) -> Result<ObjectFile, SpoolError> {
        self.file.flush().await.map_err(|error| self.spool.failed(self.len, error))?;
        Ok(ObjectFile::new(self.name, self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_says_where_and_how_much_is_missing() {
        let parent = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::create(Some(parent.path())).unwrap());
        let mut partial = Partial::begin(Hash::of(b"x"), 10 << 20, &spool).unwrap();
        // A device that has never any room.
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        partial.file = BufWriter::with_capacity(BUFFER, File::from_std(full));
        let error = loop {
            if let Err(error) = partial.append(&[7; 64 << 10]).await {
                break error;
            }
        };
        let text = error.to_string();
        assert!(matches!(error, SpoolError::Full { needed: 1.., .. }), "{text}");
        assert!(text.contains(&spool.path().display().to_string()), "{text}");
    }
}
