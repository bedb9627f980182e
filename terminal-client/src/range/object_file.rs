use std::{
    fs::File,
    io::{BufReader, Error, ErrorKind, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tempfile::TempPath;
use wire::{
    CHUNK_HEADER_LEN, ChunkReader, Hash, MAX_CHUNK_RAW, MAX_HEADER_LEN, ObjectHeader, ObjectReader,
};

use super::error::Malformed;

/// An object that lies in the spool, its bytes found to be those of its name. The file goes with
/// the last clone.
#[derive(Clone, Debug)]
pub struct ObjectFile {
    name: Hash,
    path: Arc<TempPath>,
}

/// Magic, version and header length: what stands before an object's header.
const FRONT_LEN: usize = 10;
/// The checksum behind the header.
const CHECKSUM_LEN: usize = 4;

impl ObjectFile {
    /// A file whose bytes hash to `name`; it is removed when nobody needs it any more.
    pub fn new(name: Hash, path: TempPath) -> Self {
        Self { name, path: Arc::new(path) }
    }

    /// The blake3 of its bytes.
    pub fn name(&self) -> Hash {
        self.name
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the header; what follows is read chunk by chunk.
    pub fn open(&self) -> Result<(ObjectHeader, FileChunks), Malformed> {
        let mut file = BufReader::with_capacity(64 << 10, self.file()?);
        let mut front = vec![0; FRONT_LEN];
        read(&mut file, &mut front)?;
        let mut len = [0; 4];
        len.copy_from_slice(front.get(FRONT_LEN - 4..).unwrap_or_default());
        let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
        if len <= MAX_HEADER_LEN {
            let at = front.len();
            front.resize(at + len + CHECKSUM_LEN, 0);
            read(&mut file, front.get_mut(at..).unwrap_or_default())?;
        }
        let object = ObjectReader::decode(front.into())?;
        Ok((object.header().clone(), FileChunks { file, path: self.path.to_path_buf() }))
    }

    fn file(&self) -> Result<File, Malformed> {
        File::open(&*self.path).map_err(|error| at_path(&self.path, error))
    }
}

fn at_path(path: &Path, error: Error) -> Malformed {
    Malformed::Stream(Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn read(file: &mut impl Read, into: &mut [u8]) -> Result<(), Malformed> {
    file.read_exact(into).map_err(Malformed::Stream)
}

/// The chunks of an object that lies in the spool. Holds one chunk at a time.
#[derive(Debug)]
pub struct FileChunks {
    file: BufReader<File>,
    path: PathBuf,
}

impl FileChunks {
    /// The next chunk's uncompressed bytes; `None` at the end.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, Malformed> {
        let mut stored = vec![0; CHUNK_HEADER_LEN];
        if !self.read_or_end(&mut stored)? {
            return Ok(None);
        }
        let mut len = [0; 4];
        len.copy_from_slice(stored.get(4..8).unwrap_or_default());
        let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
        if len > zstd_bound(MAX_CHUNK_RAW) {
            let why = format!("a chunk of {len} stored bytes");
            return Err(Malformed::Stream(Error::new(ErrorKind::InvalidData, why)));
        }
        stored.resize(CHUNK_HEADER_LEN + len, 0);
        read(&mut self.file, stored.get_mut(CHUNK_HEADER_LEN..).unwrap_or_default())
            .map_err(|_| self.truncated())?;
        let chunk = ChunkReader::new(stored.into())?.next_chunk()?;
        chunk.map_or_else(|| Err(self.truncated()), |chunk| Ok(Some(chunk)))
    }

    fn truncated(&self) -> Malformed {
        at_path(&self.path, ErrorKind::UnexpectedEof.into())
    }

    fn read_or_end(&mut self, into: &mut [u8]) -> Result<bool, Malformed> {
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read(rest) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(self.truncated()),
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(at_path(&self.path, error)),
            }
        }
        Ok(true)
    }
}

/// The most that zstd makes of `raw` bytes (zstd.h, `ZSTD_COMPRESSBOUND`, rounded up).
const fn zstd_bound(raw: usize) -> usize {
    raw + (raw >> 8) + (64 << 10)
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Stream(error) => error,
            other => Error::new(ErrorKind::InvalidData, other),
        }
    }
}

/// The run of a huge transaction: its part objects' payloads, one behind the other.
#[derive(Debug)]
pub(super) struct PartsReader {
    parts: std::vec::IntoIter<ObjectFile>,
    chunks: Option<FileChunks>,
    chunk: Bytes,
}

impl PartsReader {
    /// Over the parts in their order.
    pub(super) fn new(parts: Vec<ObjectFile>) -> Self {
        Self { parts: parts.into_iter(), chunks: None, chunk: Bytes::new() }
    }

    /// The next piece of the run; `None` at its end.
    pub(super) fn next_piece(&mut self) -> Result<Option<Bytes>, Malformed> {
        loop {
            if let Some(chunks) = &mut self.chunks {
                if let Some(chunk) = chunks.next_chunk()? {
                    return Ok(Some(chunk));
                }
                self.chunks = None;
            }
            let Some(part) = self.parts.next() else { return Ok(None) };
            let (header, chunks) = part.open()?;
            if !matches!(header.kind, wire::ObjectKind::Transaction { .. }) {
                return Err(Malformed::Misnamed { name: part.name(), what: "its kind" });
            }
            self.chunks = Some(chunks);
        }
    }
}

impl Read for PartsReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.chunk.is_empty() {
            match self.next_piece()? {
                Some(piece) => self.chunk = piece,
                None => return Ok(0),
            }
        }
        let len = into.len().min(self.chunk.len());
        let piece = self.chunk.split_to(len);
        into.get_mut(..len).unwrap_or_default().copy_from_slice(&piece);
        Ok(len)
    }
}
