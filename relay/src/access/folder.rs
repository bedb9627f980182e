//! One file per token under `DATA/tokens/`: a running relay sees a new or missing one by the
//! folder's modification time, so no process needs to talk to another.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, chown},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tempfile::NamedTempFile;
use wire::ChannelName;

use super::{error::TokenError, name::TokenName, record::TokenRecord, role::Role, secret::Secret};

/// The tokens of a data directory.
#[derive(Clone, Debug)]
pub struct TokenFolder {
    data_dir: PathBuf,
    folder: PathBuf,
}

/// What was found in the folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The tokens, by name.
    pub(super) records: Vec<TokenRecord>,
    /// Files that should be tokens and cannot be read, with the reason. They open nothing.
    pub(super) damaged: Vec<(PathBuf, String)>,
}

impl TokenFolder {
    /// Below the relay's data directory, which need not exist yet.
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), folder: data_dir.join("tokens") }
    }

    /// Where the tokens' files are.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Makes a token. It is on disk, whole, before a running relay can see it.
    pub fn add(
        &self,
        name: &TokenName,
        role: Role,
        channels: Option<BTreeSet<ChannelName>>,
        created_at: Timestamp,
    ) -> Result<Secret, TokenError> {
        self.create()?;
        let secret = Secret::random()?;
        let hash = secret.hash();
        let record = TokenRecord { name: name.clone(), hash, role, channels, created_at };
        let path = self.file(name);
        let file = self.write(&record)?;
        match file.persist_noclobber(&path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(TokenError::Exists { name: name.clone(), path });
            }
            Err(error) => return Err(TokenError::Io { path, source: error.error }),
        }
        sync(&self.folder)?;
        Ok(secret)
    }

    /// Takes a token back; a running relay refuses it from then on.
    pub fn revoke(&self, name: &TokenName) -> Result<(), TokenError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Ok(()) => sync(&self.folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(TokenError::Unknown { name: name.clone(), path })
            }
            Err(source) => Err(TokenError::Io { path, source }),
        }
    }

    /// The tokens by name, and the files that should be tokens and cannot be read, with the reason.
    #[expect(clippy::type_complexity, reason = "a pair of plain lists, named in the text above")]
    pub fn list(&self) -> Result<(Vec<TokenRecord>, Vec<(PathBuf, String)>), TokenError> {
        self.read().map(|found| (found.records, found.damaged))
    }

    pub(super) fn read(&self) -> Result<Found, TokenError> {
        let mut found = Found::default();
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(source) => return Err(TokenError::Io { path: self.folder.clone(), source }),
        };
        for entry in entries {
            let path = entry.map_err(TokenError::io(&self.folder))?.path();
            match read_token(&path) {
                Ok(None) => {}
                Ok(Some(record)) => found.records.push(record),
                Err(reason) => found.damaged.push((path, reason)),
            }
        }
        found.records.sort_by(|one, other| one.name.cmp(&other.name));
        found.damaged.sort();
        Ok(found)
    }

    fn file(&self, name: &TokenName) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn create(&self) -> Result<(), TokenError> {
        if self.folder.is_dir() {
            return Ok(());
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.data_dir).map_err(TokenError::io(&self.data_dir))?;
        builder.create(&self.folder).map_err(TokenError::io(&self.folder))?;
        self.give_to_relay(&self.folder)?;
        sync(&self.data_dir)
    }

    /// A file without a name that counts yet, on disk.
    fn write(&self, record: &TokenRecord) -> Result<NamedTempFile, TokenError> {
        let mut text = serde_json::to_vec_pretty(record)
            .map_err(io::Error::from)
            .map_err(TokenError::io(&self.folder))?;
        text.push(b'\n');
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&self.folder)
            .map_err(TokenError::io(&self.folder))?;
        self.give_to_relay(file.path())?;
        file.write_all(&text)
            .and_then(|()| file.as_file().sync_all())
            .map_err(TokenError::io(file.path()))?;
        Ok(file)
    }

    /// Root adds tokens for a relay that runs as another user: the one who owns the data directory.
    fn give_to_relay(&self, path: &Path) -> Result<(), TokenError> {
        let relay = fs::metadata(&self.data_dir).map_err(TokenError::io(&self.data_dir))?;
        let made = fs::metadata(path).map_err(TokenError::io(path))?;
        if made.uid() == relay.uid() {
            return Ok(());
        }
        chown(path, Some(relay.uid()), Some(relay.gid())).map_err(|source| TokenError::Owner {
            path: path.to_owned(),
            owner: relay.uid(),
            source,
        })
    }
}

/// `None` where the file is no token's: its name is hidden, or not `*.json`.
fn read_token(path: &Path) -> Result<Option<TokenRecord>, String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(stem) = name.strip_suffix(".json").filter(|stem| !stem.starts_with('.')) else {
        return Ok(None);
    };
    let text = match fs::read(path) {
        Ok(text) => text,
        // Revoked since the folder was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let record: TokenRecord = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if record.name.as_str() != stem {
        return Err(format!("it is of the token '{}': the file was renamed", record.name));
    }
    Ok(Some(record))
}

fn sync(folder: &Path) -> Result<(), TokenError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(TokenError::io(folder))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use wire::Hash;

    use super::*;

    fn name(text: &str) -> TokenName {
        text.parse().unwrap()
    }

    #[test]
    fn adds_lists_and_revokes() {
        let data = tempfile::tempdir().unwrap();
        let folder = TokenFolder::new(&data.path().join("not/yet"));
        assert_eq!(folder.read().unwrap(), Found::default());
        let sales = BTreeSet::from([ChannelName::new("sales").unwrap()]);
        let at = Timestamp::UNIX_EPOCH;
        let secret = folder.add(&name("b"), Role::Terminal, Some(sales.clone()), at).unwrap();
        folder.add(&name("a"), Role::Ops, None, at).unwrap();

        let (records, damaged) = folder.list().unwrap();
        assert!(damaged.is_empty());
        let names: Vec<_> = records.iter().map(|record| record.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(records[1].channels, Some(sales));
        assert_eq!(records[1].hash, Hash::of(secret.reveal().as_bytes()));

        let text = fs::read_to_string(folder.path().join("b.json")).unwrap();
        assert!(!text.contains(secret.reveal()), "the token itself is kept: {text}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(mode(&folder.path().join("b.json")), 0o600);

        folder.revoke(&name("b")).unwrap();
        assert!(matches!(folder.revoke(&name("b")), Err(TokenError::Unknown { .. })));
        assert_eq!(folder.list().unwrap().0.len(), 1);
    }

    #[test]
    fn a_name_is_taken_once_and_nothing_is_left_over() {
        let data = tempfile::tempdir().unwrap();
        let folder = TokenFolder::new(data.path());
        let first = folder.add(&name("a"), Role::Ops, None, Timestamp::UNIX_EPOCH).unwrap();
        let again = folder.add(&name("a"), Role::Capture, None, Timestamp::UNIX_EPOCH);
        assert!(matches!(again, Err(TokenError::Exists { .. })));
        let (records, _) = folder.list().unwrap();
        assert_eq!(records[0].hash, Hash::of(first.reveal().as_bytes()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_that_are_no_tokens_are_named_or_passed_over() {
        let data = tempfile::tempdir().unwrap();
        let folder = TokenFolder::new(data.path());
        folder.add(&name("a"), Role::Ops, None, Timestamp::UNIX_EPOCH).unwrap();
        let put = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        let good = fs::read_to_string(folder.path().join("a.json")).unwrap();
        put(".new-half", "{");
        put("README", "hello");
        put("broken.json", "{");
        put("renamed.json", &good);
        put("newer.json", &good.replace("{", r#"{"only-from": "10.0.0.0/8","#));
        let (records, damaged) = folder.list().unwrap();
        assert_eq!(records.len(), 1);
        let reasons: Vec<String> = damaged.into_iter().map(|(_, reason)| reason).collect();
        assert_eq!(reasons.len(), 3, "{reasons:?}");
        assert!(reasons[1].contains("unknown field `only-from`"), "{reasons:?}");
        assert!(reasons[2].contains("renamed"), "{reasons:?}");
    }
}
