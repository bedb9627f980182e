//! How to reach a PostgreSQL target, and what its refusals mean.

mod params;
mod refusal;
mod server;
mod tls;
mod url;
mod url_error;
mod verifier;

pub(crate) use refusal::{error_of, words};
pub use server::Server;
pub(crate) use server::Session;
