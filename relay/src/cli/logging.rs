use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError};

use super::args::LogFormat;

/// Sends log lines to standard error; what is logged is `RUST_LOG`'s choice.
pub(super) fn start(format: LogFormat) -> Result<(), ParseError> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.trim().is_empty() => EnvFilter::try_new(text)?,
        _ => EnvFilter::new("info,sled=warn"),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Fails only where a subscriber is set already, as in a test.
    let _ = match format {
        LogFormat::Text => {
            lines.with_target(false).with_ansi(io::stderr().is_terminal()).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}
