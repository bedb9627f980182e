//! An engine that opens a damaged database may make the damage worse (sled cuts a file off where
//! it cannot read on). So the tail is copied before it is opened, and the copy kept if damage was found.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::damage::Damage;

/// A copy of the tail as it was before it was opened.
#[derive(Debug)]
pub(super) struct Evidence {
    copy: Option<PathBuf>,
}

impl Evidence {
    /// Copies the tail's folder beside it. Where that is not possible (no room), the log is opened all
    /// the same.
    pub(super) fn take(tail: &Path) -> Self {
        let copy = tail.with_extension("before");
        if !tail.exists() {
            return Self { copy: None };
        }
        let copied = clear(&copy).and_then(|()| copy_folder(tail, &copy));
        if let Err(error) = copied {
            tracing::warn!(path = %tail.display(), %error, "the tail cannot be copied before it is opened");
            let _ = clear(&copy);
            return Self { copy: None };
        }
        Self { copy: Some(copy) }
    }

    /// No copy: for a tail that is not a folder.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { copy: None }
    }

    /// Drops the copy; or, where damage was found, keeps it and says where.
    pub(super) fn settle(self, damage: Option<&mut Damage>) {
        let Some(copy) = self.copy else { return };
        let Some(damage) = damage else {
            let _ = clear(&copy);
            return;
        };
        let kept = (1..).map(|n| copy.with_extension(format!("damaged-{n}"))).find(|p| !p.exists());
        let kept = kept.unwrap_or_else(|| copy.clone());
        match fs::rename(&copy, &kept) {
            Ok(()) => {
                damage.detail.push_str(&format!(
                    ". A copy of the damaged tail, as it was found, is kept in {}",
                    kept.display()
                ));
            }
            Err(error) => tracing::warn!(%error, "the damaged tail's copy cannot be renamed"),
        }
    }
}

fn clear(path: &Path) -> io::Result<()> {
    if path.exists() { fs::remove_dir_all(path) } else { Ok(()) }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
