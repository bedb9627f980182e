//! The copy of a data folder that somebody puts back.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use harness::Scratch;

/// A folder as it was. What uses it is to be stopped while the copy is made or put back.
pub(super) struct Backup {
    of: PathBuf,
    folder: Scratch,
}

impl Backup {
    pub(super) fn take(of: &Path) -> Result<Self> {
        let folder = Scratch::new("backup")?;
        copy(of, &folder.path().join("copy"))?;
        Ok(Self { of: of.to_owned(), folder })
    }

    pub(super) fn put_back(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.of)?;
        copy(&self.folder.path().join("copy"), &self.of)
    }
}

/// With owners and modes: PostgreSQL insists on both.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).output()?;
    ensure!(done.status.success(), "cp: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
