//! What a `Cargo.toml` says about targets and dependencies.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::{Table, Value};

/// Folder and package name of our crates.
const OURS: [(&str, &str); 7] = [
    ("wire", "tailwater-wire"),
    ("pg-server", "tailwater-pg-server"),
    ("capture", "tailwater-capture"),
    ("relay", "tailwater-relay"),
    ("terminal-client", "tailwater-terminal"),
    ("tests", "tailwater-tests"),
    ("benches", "tailwater-benches"),
];

pub(super) struct Manifest(Table);

impl Manifest {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("Cargo.toml");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        Ok(Self(text.parse()?))
    }

    /// The workspace's members.
    pub(super) fn members(&self) -> Vec<String> {
        let members = self.0.get("workspace").and_then(|workspace| workspace.get("members"));
        let members = members.and_then(Value::as_array).into_iter().flatten();
        members.filter_map(|member| Some(member.as_str()?.to_owned())).collect()
    }

    /// The root files of library, binaries, tests and benches: as written, or where Cargo looks.
    pub(super) fn targets(&self, folder: &Path) -> Vec<PathBuf> {
        let written = ["lib", "bin", "test", "bench"].into_iter().flat_map(|kind| {
            let tables: Vec<&Value> = match self.0.get(kind) {
                Some(Value::Array(tables)) => tables.iter().collect(),
                Some(table) => vec![table],
                None => Vec::new(),
            };
            tables.into_iter().filter_map(|table| table.get("path")?.as_str())
        });
        let mut roots: Vec<PathBuf> =
            written.chain(["src/lib.rs", "src/main.rs"]).map(|path| folder.join(path)).collect();
        for implied in ["src/bin", "tests", "benches", "examples"] {
            let files = std::fs::read_dir(folder.join(implied)).into_iter().flatten();
            let files = files.filter_map(|file| Some(file.ok()?.path()));
            roots.extend(
                files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")),
            );
        }
        roots.retain(|root| root.exists());
        roots.sort();
        roots.dedup();
        roots
    }

    /// The packages it is built from, on every platform.
    pub(super) fn dependencies(&self) -> Vec<String> {
        self.collect(&["dependencies", "build-dependencies"])
    }

    /// The packages that only its tests use.
    pub(super) fn test_dependencies(&self) -> Vec<String> {
        self.collect(&["dev-dependencies"])
    }

    fn collect(&self, kinds: &[&str]) -> Vec<String> {
        let platforms = self.0.get("target").and_then(Value::as_table).into_iter().flatten();
        let platforms = platforms.filter_map(|(_, platform)| platform.as_table());
        let tables = std::iter::once(&self.0).chain(platforms);
        tables.flat_map(|table| kinds.iter().flat_map(|kind| packages(table, kind))).collect()
    }
}

/// The folders of those packages that are ours.
pub(super) fn ours(packages: &[String]) -> Vec<String> {
    let folder_of = |name: &String| {
        let ours = OURS.iter().find(|(folder, package)| folder == name || package == name);
        ours.map(|(folder, _)| (*folder).to_owned())
    };
    packages.iter().filter_map(folder_of).collect()
}

fn packages(table: &Table, kind: &str) -> Vec<String> {
    let entries = table.get(kind).and_then(Value::as_table).into_iter().flatten();
    // `key = { package = "name", … }` renames; our workspace's keys are the folders' names.
    let name = |(key, value): (&String, &Value)| {
        value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned()
    };
    entries.map(name).collect()
}
