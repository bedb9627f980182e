//! How to reach a PostgreSQL target, and what its refusals mean.

mod refusal;
mod server;

pub(crate) use refusal::{error_of, words};
pub use server::Server;
pub(crate) use server::Session;
