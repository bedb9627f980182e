use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use subtle::ConstantTimeEq;
use wire::Hash;

use super::{
    error::TokenError,
    folder::{Found, TokenFolder},
    grant::{Access, Denied},
};

/// File systems keep time in steps of up to two seconds: a folder that changed this recently may
/// change again without its time showing it, so until then it is read for each request.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// The relay's tokens, as they are on disk right now.
#[derive(Debug)]
pub struct Tokens {
    folder: TokenFolder,
    required: bool,
    loaded: RwLock<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    /// When these were read; none where they have to be read again.
    stamp: Option<Stamp>,
    /// Whether there ever was a token: the folder is made with the first and stays.
    ever: bool,
    found: Found,
}

/// What of the folder changes whenever something in it does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stamp {
    NoFolder,
    Folder { inode: u64, modified: SystemTime },
}

impl Tokens {
    /// Reads the tokens of a data directory, which need not exist yet.
    pub fn open(data_dir: &Path) -> Result<Self, TokenError> {
        let tokens =
            Self { folder: TokenFolder::new(data_dir), required: false, loaded: RwLock::default() };
        tokens.refresh(SystemTime::now())?;
        Ok(tokens)
    }

    /// Lets nobody in without a token, also when the tokens' folder is gone: for a relay that others
    /// than this machine can reach.
    #[must_use]
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// Whether nobody could be let in: there is no token that can be read.
    pub fn is_empty(&self) -> Result<bool, TokenError> {
        self.refresh(SystemTime::now())?;
        Ok(self.with(|loaded| loaded.found.records.is_empty()))
    }

    /// What the holder of this token may do. Where there never was a token at the relay, everything;
    /// revoking the last one does not open it again.
    ///
    /// Looks at the folder's time (a system call), and reads its files when that has changed.
    pub fn check(&self, bearer: Option<&str>) -> Result<Access, Denied> {
        self.check_at(bearer, SystemTime::now())
    }

    fn check_at(&self, bearer: Option<&str>, now: SystemTime) -> Result<Access, Denied> {
        self.refresh(now).map_err(|error| Denied::Unreadable { detail: error.to_string() })?;
        self.with(|loaded| match bearer {
            _ if !loaded.ever && !self.required => Ok(Access::open()),
            Some(token) => find(&loaded.found, token).ok_or(Denied::Unknown),
            None => Err(Denied::Missing),
        })
    }

    fn with<T>(&self, read: impl FnOnce(&Loaded) -> T) -> T {
        read(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn refresh(&self, now: SystemTime) -> Result<(), TokenError> {
        let stamp = stamp(self.folder.path())?;
        if self.with(|loaded| loaded.stamp.as_ref() == Some(&stamp)) {
            return Ok(());
        }
        let found = self.folder.read()?;
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        for (path, reason) in &found.damaged {
            if !loaded.found.damaged.contains(&(path.clone(), reason.clone())) {
                warn_damaged(path, reason);
            }
        }
        let ever = stamp != Stamp::NoFolder;
        *loaded = Loaded { stamp: stamp.is_settled(now).then_some(stamp), ever, found };
        Ok(())
    }
}

impl Stamp {
    fn is_settled(&self, now: SystemTime) -> bool {
        match self {
            Self::NoFolder => true,
            Self::Folder { modified, .. } => {
                now.duration_since(*modified).is_ok_and(|age| age > SETTLED_AFTER)
            }
        }
    }
}

fn stamp(folder: &Path) -> Result<Stamp, TokenError> {
    let facts = match fs::metadata(folder) {
        Ok(facts) => facts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stamp::NoFolder),
        Err(source) => return Err(TokenError::Io { path: PathBuf::from(folder), source }),
    };
    let modified = facts.modified().map_err(TokenError::io(folder))?;
    Ok(Stamp::Folder { inode: facts.ino(), modified })
}

/// Compares with every token, each in constant time: how long it takes says nothing of any of them.
fn find(found: &Found, token: &str) -> Option<Access> {
    let hash = Hash::of(token.as_bytes());
    let mut access = None;
    for record in &found.records {
        if bool::from(record.hash.as_bytes().ct_eq(hash.as_bytes())) {
            access = Some(Access::of(record));
        }
    }
    access
}

fn warn_damaged(path: &Path, reason: &str) {
    tracing::warn!(
        path = %path.display(),
        reason,
        "a token's file cannot be read, so that token is refused; mend the file, or revoke the token and add it again"
    );
}

/// The token in the value of an `Authorization` header (RFC 6750); the scheme in any case.
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::access::{name::TokenName, role::Role};

    fn add(folder: &TokenFolder, name: &str, role: Role) -> String {
        let name: TokenName = name.parse().unwrap();
        folder.add(&name, role, None, Timestamp::UNIX_EPOCH).unwrap().reveal().to_owned()
    }

    #[test]
    fn without_tokens_everything_is_open_unless_they_are_required() {
        let data = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(data.path()).unwrap();
        assert!(tokens.is_empty().unwrap());
        assert_eq!(tokens.check(None), Ok(Access::open()));
        assert_eq!(tokens.check(Some("anything")), Ok(Access::open()));
        let tokens = Tokens::open(data.path()).unwrap().required(true);
        assert_eq!(tokens.check(None), Err(Denied::Missing));
        assert_eq!(tokens.check(Some("anything")), Err(Denied::Unknown));
    }

    #[test]
    fn changes_on_disk_are_noticed_at_once() {
        let data = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(data.path()).unwrap();
        let folder = TokenFolder::new(data.path());
        // Much faster than the file system's clock ticks.
        for round in 0..50 {
            let capture = add(&folder, &format!("c{round}"), Role::Capture);
            assert_eq!(tokens.check(Some(&capture)).unwrap().role, Some(Role::Capture));
            assert_eq!(tokens.check(None), Err(Denied::Missing));
            assert_eq!(tokens.check(Some("tw_0")), Err(Denied::Unknown));
            let ops = add(&folder, &format!("o{round}"), Role::Ops);
            assert_eq!(tokens.check(Some(&ops)).unwrap().name, Some(format!("o{round}")));
            folder.revoke(&format!("c{round}").parse().unwrap()).unwrap();
            assert_eq!(tokens.check(Some(&capture)), Err(Denied::Unknown));
            assert!(tokens.check(Some(&ops)).is_ok());
        }
    }

    #[test]
    fn a_settled_folder_is_not_read_again_until_it_changes() {
        let data = tempfile::tempdir().unwrap();
        let folder = TokenFolder::new(data.path());
        let token = add(&folder, "a", Role::Ops);
        let tokens = Tokens::open(data.path()).unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        tokens.check_at(Some(&token), later).unwrap();
        let path = folder.path().join("a.json");
        let text = fs::read(&path).unwrap();
        // Written in place: the folder's time stays.
        fs::write(&path, "{").unwrap();
        assert!(tokens.check_at(Some(&token), later).is_ok(), "read without need");
        fs::write(&path, text).unwrap();
        let other = add(&folder, "b", Role::Ops);
        assert!(tokens.check_at(Some(&other), later).is_ok());
        assert!(tokens.check_at(Some(&token), later).is_ok());
    }

    #[test]
    fn a_damaged_file_opens_nothing() {
        let data = tempfile::tempdir().unwrap();
        let folder = TokenFolder::new(data.path());
        let token = add(&folder, "a", Role::Ops);
        fs::write(folder.path().join("a.json"), "{").unwrap();
        let tokens = Tokens::open(data.path()).unwrap();
        assert!(tokens.is_empty().unwrap());
        assert_eq!(tokens.check(Some(&token)), Err(Denied::Unknown));
        assert_eq!(tokens.check(None), Err(Denied::Missing));
    }

    #[test]
    fn revoking_the_last_token_opens_nothing() {
        let data = tempfile::tempdir().unwrap();
        let folder = TokenFolder::new(data.path());
        let token = add(&folder, "a", Role::Ops);
        let tokens = Tokens::open(data.path()).unwrap();
        folder.revoke(&"a".parse().unwrap()).unwrap();
        assert!(tokens.is_empty().unwrap());
        assert_eq!(tokens.check(None), Err(Denied::Missing));
        assert_eq!(tokens.check(Some(&token)), Err(Denied::Unknown));
        assert_eq!(Tokens::open(data.path()).unwrap().check(None), Err(Denied::Missing));
        fs::remove_dir(folder.path()).unwrap();
        assert_eq!(tokens.check(None), Ok(Access::open()));
    }

    #[test]
    fn a_folder_that_cannot_be_read_lets_nobody_in() {
        let data = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(data.path()).unwrap();
        fs::write(data.path().join("tokens"), "no folder").unwrap();
        let denied = tokens.check(Some("x")).unwrap_err();
        assert!(matches!(denied, Denied::Unreadable { .. }), "{denied}");
        assert!(Tokens::open(data.path()).is_err());
    }

    #[test]
    fn bearer_tokens_are_read_from_the_header() {
        assert_eq!(bearer("Bearer tw_1"), Some("tw_1"));
        assert_eq!(bearer("  bearer   tw_1 "), Some("tw_1"));
        for other in ["", "Bearer", "Bearer ", "Basic dTpw", "tw_1"] {
            assert_eq!(bearer(other), None, "{other}");
        }
    }
}
