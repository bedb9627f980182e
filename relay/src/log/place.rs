//! Which folder holds the living log of a source.
//!
//! ```text
//! <source>/            HEAD, tail, catalog, objects: its first log
//! <source>/LOG         the lineage of the log that took its place; written by a rename
//! <source>/<lineage>/  that log
//! ```
//!
//! A log that is made and not appointed, and one that another has succeeded, are nobody's: they go.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use wire::Lineage;

use super::{engine::sync_folder, error::StoreError};

const APPOINTED: &str = "LOG";
const HALF_WRITTEN: &str = "LOG.new";

/// The lineage of the log that was appointed; none where the first log is the living one.
pub(super) fn appointed(folder: &Path) -> Result<Option<Lineage>, StoreError> {
    let path = folder.join(APPOINTED);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io(path, error)),
    };
    text.trim().parse().map(Some).map_err(|_| {
        let detail = "it names no log; put the source's folder back from a copy";
        StoreError::corrupt(path.display().to_string(), None, detail)
    })
}

/// Where a log that succeeds another one is.
pub(super) fn successor(folder: &Path, lineage: Lineage) -> PathBuf {
    folder.join(lineage.to_string())
}

/// Makes the log of that lineage, whose folder is complete, the living one. Nothing has changed where
/// this fails; until `folder` is synced, a power cut may bring the former one back.
pub(super) fn appoint(folder: &Path, lineage: Lineage) -> Result<(), StoreError> {
    sync_folder(&successor(folder, lineage))?;
    sync_folder(folder)?;
    let half = folder.join(HALF_WRITTEN);
    let written = File::create(&half)
        .and_then(|mut file| writeln!(file, "{lineage}").and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&half, folder.join(APPOINTED)));
    written.map_err(|error| StoreError::io(half, error))
}

/// Removes what is not the living log's: a log that another one succeeded, and one that was never
/// appointed. Says whether there was anything.
pub(crate) fn clear(folder: &Path) -> Result<bool, StoreError> {
    let living = appointed(folder)?.map(|lineage| lineage.to_string());
    let io = |error| StoreError::io(folder, error);
    let mut removed = false;
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let goes = match &living {
            Some(living) => name != APPOINTED && name != living.as_str(),
            None => name == HALF_WRITTEN || name.parse::<Lineage>().is_ok(),
        };
        if goes {
            let path = entry.path();
            let gone =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            gone.map_err(|error| StoreError::io(path, error))?;
            removed = true;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_the_living_log_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (one, two) = (Lineage::from_bytes([1; 16]), Lineage::from_bytes([2; 16]));
        for name in ["catalog", "tail", "objects"] {
            fs::create_dir_all(folder.join(name).join("inner")).unwrap();
        }
        fs::write(folder.join("HEAD"), "x").unwrap();
        fs::create_dir(successor(folder, one)).unwrap();
        fs::write(folder.join(HALF_WRITTEN), "half").unwrap();
        assert_eq!(appointed(folder).unwrap(), None);
        assert!(clear(folder).unwrap());
        assert_eq!(names(folder), ["HEAD", "catalog", "objects", "tail"]);
        assert!(!clear(folder).unwrap());

        fs::create_dir(successor(folder, one)).unwrap();
        appoint(folder, one).unwrap();
        assert_eq!(appointed(folder).unwrap(), Some(one));
        assert!(clear(folder).unwrap());
        assert_eq!(names(folder), [one.to_string(), APPOINTED.to_owned()]);

        fs::create_dir(successor(folder, two)).unwrap();
        appoint(folder, two).unwrap();
        assert!(clear(folder).unwrap());
        assert_eq!(names(folder), [two.to_string(), APPOINTED.to_owned()]);
        fs::write(folder.join(APPOINTED), "nonsense").unwrap();
        assert!(clear(folder).is_err(), "what is not understood is not cleared");
    }
}
