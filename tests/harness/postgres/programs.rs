//! Where PostgreSQL's own programs are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// `TAILWATER_PG_BIN`, or the newest of Debian's `/usr/lib/postgresql/*/bin`.
pub fn pg_bin_dir() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("TAILWATER_PG_BIN") {
        let folder = PathBuf::from(folder);
        if !folder.join("initdb").exists() {
            bail!("TAILWATER_PG_BIN={}: there is no initdb in it", folder.display());
        }
        return Ok(folder);
    }
    newest_below(Path::new("/usr/lib/postgresql")).context(
        "no PostgreSQL server in /usr/lib/postgresql: run tests/install-postgres.sh, or set \
         TAILWATER_PG_BIN to the folder that holds initdb and postgres",
    )
}

fn newest_below(folder: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(folder).ok()?;
    versions
        .filter_map(|entry| {
            let version: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let bin = folder.join(version.to_string()).join("bin");
            (bin.join("initdb").exists() && bin.join("postgres").exists()).then_some((version, bin))
        })
        .max()
        .map(|(_, bin)| bin)
}
