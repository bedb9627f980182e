use std::{ffi::OsString, io::Write, process::ExitCode};

use tokio::runtime::Builder;

use super::{
    args::{Cli, Command},
    failure::Failure,
    layers::{self, LayerError},
    logging,
    serve::serve,
    status::status,
    terminal::terminal,
    token::token,
};

/// Does what the command line says; `args` begins with the program's name. Errors go to standard
/// error. 0 done, 2 usage or configuration, 3 the relay refused, 4 the relay is not reachable or
/// not ready, 1 the rest.
pub fn run(args: Vec<OsString>) -> ExitCode {
    match layers::parse(&args).map_err(Failure::from).and_then(execute) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Layer(LayerError::Arguments(error))) => {
            // Help goes to standard output with 0, a wrong command line to standard error with 2.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
        Err(failure) => {
            // Where standard error is closed, there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn execute(cli: Cli) -> Result<(), Failure> {
    logging::start(cli.log_format)?;
    match cli.command {
        Command::Token(command) => token(command),
        Command::Serve(args) => run_to_end(Builder::new_multi_thread(), serve(*args)),
        Command::Terminal(command) => run_to_end(Builder::new_current_thread(), terminal(&command)),
        Command::Status(args) => run_to_end(Builder::new_current_thread(), status(&args)),
    }
}

fn run_to_end(
    mut runtime: Builder,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    // Each blocking thread may hold a piece of something; memory is bounded by promise.
    let runtime = runtime.enable_all().max_blocking_threads(64).build();
    runtime.map_err(Failure::Runtime)?.block_on(work)
}
