//! How capture and terminals reach a PostgreSQL server: its URL, TLS, and logging in.
//!
//! It knows nothing of replication and nothing of what is done on the connection.

mod connect;
mod params;
mod server;
mod tls;
mod url;
mod url_error;
mod verifier;

pub use self::{
    connect::ConnectError,
    params::{ChannelBinding, Endpoint, SslMode, TlsParams},
    server::Server,
    tls::{TlsError, client_config},
    url_error::UrlError,
};
