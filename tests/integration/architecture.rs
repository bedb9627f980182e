//! The layout is the architecture: modules of a crate import each other without a cycle, and crates
//! depend on each other as DESIGN says. Read from the sources, so that nobody has to watch.

mod cycles;
mod imports;
mod manifest;
mod modules;
mod resolve;
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use self::{
    cycles::find_cycle,
    manifest::{Manifest, ours},
    modules::read_crate,
    resolve::edges,
};

/// Our packages by folder, and which of ours each may depend on.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("wire", &[]),
    ("wire/pg-server", &[]),
    ("capture", &["wire", "pg-server"]),
    ("relay", &["wire"]),
    ("terminal-client", &["wire", "pg-server"]),
    ("tests", &["wire", "capture", "relay", "terminal-client", "tests", "benches"]),
    ("benches", &["wire", "capture", "relay", "terminal-client", "tests", "benches"]),
];

fn workspace() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("no workspace above this package")?.to_owned())
}

#[test]
fn modules_import_each_other_without_a_cycle() -> Result<()> {
    let mut cycles = Vec::new();
    for (folder, _) in ALLOWED {
        let folder = workspace()?.join(folder);
        for root in Manifest::read(&folder)?.targets(&folder) {
            let modules = read_crate(&root, &|path| std::fs::read_to_string(path).ok())?;
            if let Some(cycle) = find_cycle(&edges(&modules)) {
                cycles.push(format!("{}:\n{cycle}", root.display()));
            }
        }
    }
    ensure!(cycles.is_empty(), "modules import each other in a circle\n{}", cycles.join("\n"));
    Ok(())
}

#[test]
fn crates_depend_on_each_other_as_designed() -> Result<()> {
    let workspace = workspace()?;
    for (folder, allowed) in ALLOWED {
        let manifest = Manifest::read(&workspace.join(folder))?;
        for dependency in ours(&manifest.dependencies()) {
            ensure!(
                allowed.contains(&dependency.as_str()),
                "{folder} depends on {dependency}; it may depend on {allowed:?} of our crates"
            );
        }
        // The harness may serve any crate's own tests: nothing of it is built into a program.
        for dependency in ours(&manifest.test_dependencies()) {
            ensure!(
                dependency == "tests" || allowed.contains(&dependency.as_str()),
                "the tests of {folder} depend on {dependency}; they may on {allowed:?} and tests"
            );
        }
    }
    Ok(())
}

#[test]
fn every_package_is_watched() -> Result<()> {
    let mut members = Manifest::read(&workspace()?)?.members();
    let mut watched: Vec<String> = ALLOWED.iter().map(|(folder, _)| (*folder).to_owned()).collect();
    members.sort();
    watched.sort();
    ensure!(members == watched, "the workspace has {members:?}, this test watches {watched:?}");
    Ok(())
}

#[test]
fn wire_does_no_io() -> Result<()> {
    let names = Manifest::read(&workspace()?.join("wire"))?.dependencies();
    let banned = ["tokio", "sled", "hyper", "reqwest", "axum", "tokio-postgres", "rusqlite"];
    let found: Vec<_> = names.iter().filter(|name| banned.contains(&name.as_str())).collect();
    ensure!(found.is_empty(), "wire is without async, I/O and store, and depends on {found:?}");
    Ok(())
}

/// Invariant 9: nothing that serves terminals can speak to a database, so none of them reaches the master.
#[test]
fn the_relay_speaks_to_no_database() -> Result<()> {
    let names = Manifest::read(&workspace()?.join("relay"))?.dependencies();
    let speaks = |name: &&String| ["postgres", "sql", "pg-"].iter().any(|of| name.contains(of));
    let found: Vec<_> = names.iter().filter(speaks).collect();
    ensure!(found.is_empty(), "the relay knows no database, and depends on {found:?}");
    Ok(())
}
