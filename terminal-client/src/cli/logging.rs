use std::{
    io::{IsTerminal, Write},
    sync::Arc,
};

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::progress::Progress;

/// What is logged where RUST_LOG says nothing.
const DEFAULT_FILTER: &str = "warn,terminal_client=info";
/// With `--quiet`: not what is tried again and passes by itself, which `fetch` and `pull::trouble` tell.
const QUIET_FILTER: &str = "warn,terminal_client::fetch=error,terminal_client::pull::trouble=error";

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Log lines go to standard error, past the progress bar where there is one.
pub(super) fn start_logging(format: LogFormat, quiet: bool, progress: &Arc<Progress>) {
    let default = if quiet { QUIET_FILTER } else { DEFAULT_FILTER };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = Lines(Arc::clone(progress));
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(lines);
    let begun = match format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text if std::io::stderr().is_terminal() => log.without_time().try_init(),
        LogFormat::Text => log.with_ansi(false).try_init(),
    };
    // Fails only where another log was begun in this process, which then is the one.
    drop(begun);
}

#[derive(Clone)]
struct Lines(Arc<Progress>);

/// One log line being put together.
struct Line {
    progress: Arc<Progress>,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.progress.log(String::from_utf8_lossy(&self.text).trim_end());
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { progress: Arc::clone(&self.0), text: Vec::new() }
    }
}
