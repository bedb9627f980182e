//! Temporary folders, all below one root of this run, which is removed however the run ends.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result};

use crate::account::Account;

/// A folder that goes when this value goes, unless `TAILWATER_KEEP` is set.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a folder of our own account. `label` only makes it recognisable.
    pub fn new(label: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = root()?.join(format!("{number:03}-{label}"));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path })
    }

    /// Makes a folder that belongs to `account` (the one PostgreSQL runs as).
    pub fn of(account: Account, label: &str) -> Result<Self> {
        let scratch = Self::new(label)?;
        if let Account::Other { uid, gid } = account {
            chown(&scratch.path, Some(uid), Some(gid))
                .with_context(|| format!("cannot give {} to user {uid}", scratch.path.display()))?;
        }
        Ok(scratch)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !kept() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// A folder for the temporary files of processes that the tests start.
pub(crate) fn temporary_files() -> Result<PathBuf> {
    let path = root()?.join("tmp");
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

/// Whether folders shall stay for a look afterwards.
pub(crate) fn kept() -> bool {
    std::env::var_os("TAILWATER_KEEP").is_some_and(|value| !value.is_empty() && value != "0")
}

struct Root {
    path: PathBuf,
    /// Held open: when this process ends, by whatever cause, the sweeper reads the end of its
    /// standard input and removes the folder.
    _sweeper: Option<ChildStdin>,
}

fn root() -> Result<&'static Path> {
    static ROOT: OnceLock<Result<Root, String>> = OnceLock::new();
    match ROOT.get_or_init(|| make_root().map_err(|error| format!("{error:#}"))) {
        Ok(root) => Ok(&root.path),
        Err(message) => anyhow::bail!("no temporary folder: {message}"),
    }
}

fn make_root() -> Result<Root> {
    let path = reachable_temp_dir().join(format!("tailwater-{}", std::process::id()));
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot clear {}", path.display()));
        }
        _ => {}
    }
    fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let sweeper = if kept() { None } else { Some(start_sweeper(&path)?) };
    Ok(Root { path, _sweeper: sweeper })
}

/// A shell that outlives us by a moment. It ignores the signals of the terminal, so that Ctrl-C
/// leaves nothing behind either; it tries a few times, because servers told to stop by our death
/// may still be writing.
fn start_sweeper(path: &Path) -> Result<ChildStdin> {
    let script = r#"trap '' INT TERM HUP; cat >/dev/null
        for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null && exit 0; sleep 0.5; done"#;
    let mut sweeper = Command::new("sh")
        .args(["-c", script, "sweeper"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start sh")?;
    sweeper.stdin.take().context("the sweeper has no standard input")
}

/// The temporary folder, if every account can pass through it; `/tmp` otherwise.
fn reachable_temp_dir() -> PathBuf {
    let temp = std::env::temp_dir();
    let passable = |folder: &Path| {
        fs::metadata(folder).is_ok_and(|facts| facts.permissions().mode() & 0o001 != 0)
    };
    if temp.ancestors().all(passable) { temp } else { PathBuf::from("/tmp") }
}
