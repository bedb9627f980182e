//! Finds the built binaries, and refuses old ones.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result, bail};

/// The path of one of our binaries, e.g. `tailwater-relay`: in `TAILWATER_BIN_DIR` if that is set,
/// otherwise next to this executable, where it must not be older than the sources.
pub fn binary(name: &str) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("TAILWATER_BIN_DIR") {
        let path = PathBuf::from(folder).join(name);
        if !path.exists() {
            bail!("TAILWATER_BIN_DIR is set, but there is no {}", path.display());
        }
        return Ok(path);
    }
    let path = profile_dir()?.join(name);
    let advice = "build it first: cargo build --workspace --bins --examples (make test does so)";
    let built = fs::metadata(&path).and_then(|facts| facts.modified());
    let built = built.with_context(|| format!("no {}: {advice}", path.display()))?;
    // Cargo's own list of what went into the binary. An installed binary has none.
    let sources = fs::read_to_string(path.with_extension("d")).unwrap_or_default();
    if let Some(newer) = sources_of(&sources).into_iter().find(|source| !is_older(source, built)) {
        bail!("{} is older than {}: {advice}", path.display(), newer.display());
    }
    Ok(path)
}

/// `target/debug` or the like: this executable is in it, or (tests) in its folder `deps`.
fn profile_dir() -> Result<PathBuf> {
    let executable = std::env::current_exe().context("cannot find our own executable")?;
    let folder = executable.parent().context("our executable is in no folder")?;
    let parent =
        folder.parent().filter(|_| folder.ends_with("deps") || folder.ends_with("examples"));
    Ok(parent.unwrap_or(folder).to_owned())
}

/// The right side of Cargo's `binary: source source …`, where a space in a name is `\ `.
fn sources_of(dep_info: &str) -> Vec<PathBuf> {
    let Some((_, sources)) = dep_info.lines().next().and_then(|line| line.split_once(": ")) else {
        return Vec::new();
    };
    let marked = sources.replace("\\ ", "\0");
    marked.split_whitespace().map(|source| PathBuf::from(source.replace('\0', " "))).collect()
}

fn is_older(source: &Path, built: SystemTime) -> bool {
    fs::metadata(source).and_then(|facts| facts.modified()).is_ok_and(|changed| changed <= built)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cargos_list() {
        let found = sources_of("/t/debug/x: /a/main.rs /a/my\\ file.rs\n");
        assert_eq!(found, [PathBuf::from("/a/main.rs"), PathBuf::from("/a/my file.rs")]);
        assert!(sources_of("").is_empty());
    }
}
