//! Data folders: `initdb` once a run, copies afterwards.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use anyhow::{Context, Result, bail};

use crate::{account::Account, scratch::Scratch};

/// Fills `data` by a copy of this run's template: quick, and with the same system identifier as
/// every other copy.
pub(super) fn copy(bin: &Path, account: Account, data: &Path) -> Result<()> {
    static MADE: Mutex<Option<HashMap<PathBuf, Scratch>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let made = made.get_or_insert_default();
    if !made.contains_key(bin) {
        let folder = Scratch::of(account, "template")?;
        initdb(bin, account, &folder.path().join("data"))?;
        made.insert(bin.to_owned(), folder);
    }
    let template = made.get(bin).context("the template is gone")?.path().join("data");
    let mut command = Command::new("cp");
    command.arg("-a").arg(&template).arg(data);
    run(account, command)
}

/// Makes a data folder from nothing, with a system identifier of its own. Its superuser is
/// `postgres`, without a password; text sorts by bytes and is UTF-8, whatever this machine's locale is.
pub(super) fn initdb(bin: &Path, account: Account, data: &Path) -> Result<()> {
    let mut command = Command::new(bin.join("initdb"));
    command
        .args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ])
        .arg("--pgdata")
        .arg(data);
    run(account, command)
}

fn run(account: Account, mut command: Command) -> Result<()> {
    account.apply(&mut command);
    // Not the folder we are in: PostgreSQL's account may not be allowed to see it.
    command.current_dir("/").stdin(Stdio::null());
    let output =
        command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Replaces a text file of the data folder, keeping its owner.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
