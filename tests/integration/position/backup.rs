//! The copy of a data folder that somebody puts back.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use harness::Scratch;

/// A folder as it was. What uses it is to be stopped while the copy is made or put back.
pub(crate) struct Backup {
    of: PathBuf,
    folder: Scratch,
}

impl Backup {
    pub(crate) fn take(of: &Path) -> Result<Self> {
        let folder = Scratch::new("backup")?;
        copy(of, &folder.path().join("copy"))?;
        Ok(Self { of: of.to_owned(), folder })
    }

    pub(crate) fn put_back(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.of)?;
        self.copy_to(&self.of)
    }

    /// To a place where nothing is.
    pub(crate) fn copy_to(&self, folder: &Path) -> Result<()> {
        copy(&self.folder.path().join("copy"), folder)
    }
}

/// With owners and modes: PostgreSQL insists on both.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).output()?;
    ensure!(done.status.success(), "cp: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
