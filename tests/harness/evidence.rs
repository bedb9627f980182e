//! What the processes of a test had to say, kept until the test is over.

use std::{
    cell::RefCell,
    fs::{self, File},
    path::PathBuf,
};

use anyhow::{Context, Result};

use crate::scratch::Scratch;

/// Lines shown of each process's output.
const LINES: usize = 60;

thread_local! {
    // A test runs on one thread, so that no key is needed.
    static OUTPUTS: RefCell<Option<Outputs>> = const { RefCell::new(None) };
}

struct Outputs {
    folder: Scratch,
    files: Vec<(String, PathBuf)>,
}

/// A new file for a process's output. `label` says whose, should it have to be shown.
pub(crate) fn output_file(label: &str) -> Result<(PathBuf, File)> {
    OUTPUTS.with_borrow_mut(|outputs| {
        if outputs.is_none() {
            *outputs = Some(Outputs { folder: Scratch::new("output")?, files: Vec::new() });
        }
        let outputs = outputs.as_mut().context("no folder for output")?;
        let plain = label.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let path = outputs.folder.path().join(format!("{:02}-{plain}", outputs.files.len()));
        let file = File::options()
            .create_new(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        outputs.files.push((label.to_owned(), path.clone()));
        Ok((path, file))
    })
}

/// Forgets what this thread's last test left.
pub(crate) fn clear() {
    OUTPUTS.set(None);
}

/// Prints the end of every output of this thread's test, or of this thread.
pub fn show() {
    OUTPUTS.with_borrow(|outputs| {
        for (label, path) in outputs.iter().flat_map(|outputs| &outputs.files) {
            let bytes = fs::read(path).unwrap_or_default();
            print_end(label, &String::from_utf8_lossy(&bytes));
        }
    });
}

fn print_end(label: &str, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    let lines: Vec<&str> = text.lines().collect();
    let (hidden, last) = lines.split_at(lines.len().saturating_sub(LINES));
    eprintln!("──── {label} ({} earlier lines left out)", hidden.len());
    for line in last {
        eprintln!("     {line}");
    }
}
