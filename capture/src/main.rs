//! The binary; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    capture::memory::bound_allocator();
    capture::cli::run_cli()
}
