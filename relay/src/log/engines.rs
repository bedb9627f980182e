use std::{path::Path, sync::Arc};

use wire::SourceName;

use super::{
    catalog::Catalog,
    engine::{FileObjects, SledRecords, SledTail},
    error::StoreError,
    head::{Head, HeadFile},
    objects::Objects,
    tail::Tail,
};

/// What a log is kept in, opened.
#[derive(Debug)]
pub(super) struct Engines {
    pub(super) catalog: Catalog,
    pub(super) tail: Arc<dyn Tail>,
    pub(super) objects: Arc<dyn Objects>,
    pub(super) head_file: HeadFile,
    pub(super) acknowledged: Head,
}

impl Engines {
    /// Those of a source's folder; none where it was never begun.
    pub(super) fn open(
        folder: &Path,
        source: &SourceName,
        tail_bytes: u64,
    ) -> Result<Option<Self>, StoreError> {
        if !folder.join("catalog").exists() && !folder.join("HEAD").exists() {
            return Ok(None);
        }
        let (head_file, acknowledged) = HeadFile::open(&folder.join("HEAD"))?;
        let records = SledRecords::open(&folder.join("catalog"))?;
        Ok(Some(Self {
            catalog: Catalog::new(Arc::new(records)),
            tail: Arc::new(SledTail::open(&folder.join("tail"), source, tail_bytes)?),
            objects: Arc::new(FileObjects::open(&folder.join("objects"))?),
            head_file,
            acknowledged,
        }))
    }
}
