use std::{fmt, path::PathBuf, time::Duration};

use crate::target::TargetError;

/// A SQLite file as a target, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteFile {
    /// The file. It and its folder must be on a disk of this machine (SQLite, "Write-Ahead Logging":
    /// not over a network).
    pub path: PathBuf,
    /// How long to wait where another program is writing to the file: 30 s.
    pub busy_timeout: Duration,
    /// Whether the file is made where it is missing: yes.
    pub create: bool,
    /// Memory for pages; what a transaction changes beyond it goes to the write-ahead log before the
    /// commit: 32 MiB.
    pub cache_kib: u32,
}

const BUSY_TIMEOUT: &str = "?busy_timeout=";
const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_CACHE_KIB: u32 = 32 << 10;
/// More than anyone waits: a day.
const MAX_BUSY_TIMEOUT: Duration = Duration::from_secs(86_400);

impl SqliteFile {
    /// Of what follows `sqlite:` in a `--target`: `FILE` or `FILE?busy_timeout=SECONDS`.
    ///
    /// # Errors
    /// [`TargetError::Url`] where it is neither.
    pub fn new(text: &str) -> Result<Self, TargetError> {
        let url = |why: &str| TargetError::Url {
            why: format!(
                "sqlite:{text}: {why}; write sqlite:FILE, e.g. sqlite:/var/lib/shop/orders.db"
            ),
        };
        let (path, seconds) = match text.rsplit_once(BUSY_TIMEOUT) {
            Some((path, seconds)) => (path, Some(seconds)),
            None => (text, None),
        };
        let host = path.strip_prefix("//").is_some_and(|rest| !rest.starts_with('/'));
        match path {
            "" => return Err(url("it names no file")),
            ":memory:" => return Err(url("a database in memory is gone when the run ends")),
            _ if host => {
                return Err(url("a file has no host: two slashes too many, or one too few"));
            }
            _ if path.contains('\0') => return Err(url("a file name has no NUL")),
            _ => {}
        }
        let mut file = Self {
            path: path.into(),
            busy_timeout: DEFAULT_BUSY_TIMEOUT,
            create: true,
            cache_kib: DEFAULT_CACHE_KIB,
        };
        if let Some(seconds) = seconds {
            let seconds = seconds.parse().ok().map(Duration::from_secs);
            let seconds = seconds.filter(|wait| *wait <= MAX_BUSY_TIMEOUT);
            file.busy_timeout =
                seconds.ok_or_else(|| url("busy_timeout is a number of seconds, at most 86400"))?;
        }
        Ok(file)
    }
}

impl fmt::Display for SqliteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        for (text, path) in [
            ("orders.db", "orders.db"),
            ("/a/b.db", "/a/b.db"),
            ("///a/b.db", "///a/b.db"),
            ("what?.db", "what?.db"),
        ] {
            assert_eq!(SqliteFile::new(text).unwrap().path, PathBuf::from(path), "{text}");
        }
        let file = SqliteFile::new("o.db?busy_timeout=5").unwrap();
        assert_eq!(
            (file.to_string(), file.busy_timeout),
            ("sqlite:o.db".into(), Duration::from_secs(5))
        );
    }

    #[test]
    fn what_is_no_file() {
        for text in [
            "",
            ":memory:",
            "//orders.db",
            "a\0b",
            "o.db?busy_timeout=",
            "o.db?busy_timeout=-1",
            "o.db?busy_timeout=99999999999999999999",
        ] {
            let error = SqliteFile::new(text).unwrap_err().to_string();
            assert!(error.contains("write sqlite:FILE"), "{error}");
        }
    }
}
