//! `tailwater-terminal`: see `--help`.

use std::{process::ExitCode, time::Duration};

fn main() -> ExitCode {
    // Fails only where one is installed already, which is as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(terminal_client::cli::run(std::env::args_os()));
            // Lets the spool be removed; a blocking reader of it must not hold up the end.
            runtime.shutdown_timeout(Duration::from_secs(1));
            code
        }
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
