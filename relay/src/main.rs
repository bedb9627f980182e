//! `tailwater-relay`: see `--help`.

mod process;

use std::process::ExitCode;

fn main() -> ExitCode {
    process::prepare();
    // Fails only where one is installed already, and then that one will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    relay::cli::run(std::env::args_os().collect())
}
