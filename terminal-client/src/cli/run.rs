use std::{ffi::OsString, io::Write, process::ExitCode, sync::Arc};

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    args::{Cli, Command},
    config::log_lines,
    failure::CliError,
    logging::start_logging,
    pull::pull,
    reload::reload,
    retry::retry,
    status::status,
    tail::tail,
    verify::verify,
};
use crate::progress::Progress;

/// Where a second signal leaves: as if the first had not been handled.
const KILLED: i32 = 130;

/// Runs the program: `args` as the system gives them, its own name first.
pub async fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; they go to standard output.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let (format, quiet) = cli.command.config().map(log_lines).unwrap_or_default();
    let shows_progress = cli.command.shows_progress();
    let quiet = shows_progress && quiet || cli.command.is_quiet();
    let progress = Arc::new(Progress::new(quiet || !shows_progress));
    start_logging(cli.log_format.or(format).unwrap_or_default(), quiet, &progress);
    let stop = CancellationToken::new();
    let result = match stop_on_signals(stop.clone()) {
        Ok(()) => command(cli.command, &progress, &stop).await,
        Err(error) => Err(CliError::Io { doing: "listen for signals", error }),
    };
    progress.end();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn command(
    command: Command,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    match command {
        Command::Pull(args) => pull(*args, progress, stop).await,
        Command::Reload(args) => reload(*args, progress, stop).await,
        Command::Retry(args) => retry(*args).await,
        Command::Verify(args) => verify(*args, progress, stop).await,
        Command::Status(args) => status(*args).await,
        Command::Tail(args) => tail(*args, stop).await,
    }
}

/// The first SIGTERM or SIGINT lets the open transaction end; the second does not wait for it.
fn stop_on_signals(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        stop.cancel();
        either(&mut terminate, &mut interrupt).await;
        std::process::exit(KILLED);
    });
    Ok(())
}

async fn either(first: &mut Signal, second: &mut Signal) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}
