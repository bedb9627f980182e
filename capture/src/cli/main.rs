use std::{io::IsTerminal, process::ExitCode};

use clap::{CommandFactory, FromArgMatches};
use tracing_subscriber::EnvFilter;

use super::{
    adopt,
    args::{Cli, Command, LogFormat},
    check,
    failure::Failure,
    remove, settings,
    signals::stop_signal,
    snapshot,
};
use crate::run;

/// Reads the command line, does what it says, and returns the exit code.
pub fn run_cli() -> ExitCode {
    let matches = without_empty_variables(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    log_to_stderr(cli.log_format);
    // Fails only where one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli.command)),
        Err(error) => {
            Err(Failure { code: 1, text: format!("the runtime cannot be started: {error}") })
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tailwater-capture: {}", failure.text);
            ExitCode::from(failure.code)
        }
    }
}

/// A variable that is set to nothing counts as not set, as compose files and units leave them.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| {
        arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(None::<&str>) } else { arg })
        .mut_subcommands(without_empty_variables)
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Check(args) => check::run(args).await,
        Command::Adopt(args) => adopt::run(args).await,
        Command::Remove(args) => remove::run(args).await,
        Command::Snapshot(args) => snapshot::run(args).await,
        Command::Run(args) => {
            let settings = settings::settings(*args)?;
            Ok(run::run(settings, stop_signal()?).await?)
        }
    }
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_env("TAILWATER_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,capture=info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_target(false).compact().init(),
    }
}
