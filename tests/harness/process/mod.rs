//! The real binaries, as processes of a test.

mod binary;
mod commands;
mod memory;
mod relay;
mod running;
#[cfg(test)]
mod tests;

pub use binary::binary;
pub use commands::{capture, reload, terminal, verify};
pub use memory::Memory;
pub use relay::{RelayBuilder, RelayProcess};
pub use running::{Finished, Process, ProcessBuilder};
