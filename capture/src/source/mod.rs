//! The master: where it is, how to log in, and what it says when it refuses.

mod emit;
mod master;
mod refusal;
mod server_error;
mod session;
mod sql;

pub use pg_server::{ChannelBinding, Endpoint, SslMode, TlsError, TlsParams, UrlError};

pub use self::{
    emit::emit,
    master::Source,
    refusal::Refusal,
    server_error::ServerError,
    session::PINNED_SETTINGS,
    sql::{SqlError, SqlSession, answer, answer_within},
};
