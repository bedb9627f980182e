//! The master: where it is, how to log in, and what it says when it refuses.

mod master;
mod params;
mod refusal;
mod server_error;
mod session;
mod sql;
mod tls;
mod url;
mod url_error;
mod verifier;

pub use self::{
    master::Source,
    params::{ChannelBinding, Endpoint, SslMode, TlsParams},
    refusal::Refusal,
    server_error::ServerError,
    session::PINNED_SETTINGS,
    sql::{SqlError, SqlSession, answer, answer_within},
    tls::{TlsError, client_config},
    url_error::UrlError,
};
