use std::{error::Error as _, ops::Deref, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    master::Source,
    params::{ChannelBinding, Endpoint, SslMode},
    refusal::Refusal,
    server_error::ServerError,
    tls::TlsError,
};

/// Longest wait for a statement that waits for nobody but the server.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Why there is no SQL connection, or why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// TLS cannot be set up as the URL asks.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server answered with an error.
    #[error("{place} refused: {server}. What to do: {}", refusal.advice())]
    Refused { place: String, refusal: Refusal, server: Box<ServerError> },
    /// The server asks for a password, and there is none.
    #[error("{place} asks for a password: set PGPASSWORD, or put it into the source URL")]
    NoPassword { place: String },
    /// The server was not reached, or the connection broke.
    #[error(
        "no connection to {place}: check that the server runs and that host, port and sslmode are right"
    )]
    Unreachable { place: String, source: tokio_postgres::Error },
    /// Nothing came in time.
    #[error(
        "{place} did not answer within {} s: the network between swallows what is sent, or the server is overloaded",
        after.as_secs_f32()
    )]
    Silent { place: String, after: Duration },
}

impl SqlError {
    /// Tells a server's refusal from a broken connection; `place` names what was talked to.
    pub fn of(place: impl Into<String>, error: tokio_postgres::Error) -> Self {
        let place = place.into();
        match error.as_db_error() {
            Some(db) => {
                let server = ServerError::from(db);
                Self::Refused { place, refusal: Refusal::of(&server), server: Box::new(server) }
            }
            None if asks_for_password(&error) => Self::NoPassword { place },
            None => Self::Unreachable { place, source: error },
        }
    }

    /// The reason, where it was the server that said no.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

/// tokio-postgres has no other way to tell.
fn asks_for_password(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|source| source.to_string() == "password missing")
}

/// What the master answers to `statement`. Where nothing comes in time the connection is of no use any
/// more: TCP says nothing while somebody between acknowledges what the server never gets.
pub async fn answer<T>(
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, SqlError> {
    answer_within(ANSWER_WITHIN, statement).await
}

/// As [`answer`], for what may take long on a server that is well.
pub async fn answer_within<T>(
    after: Duration,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, SqlError> {
    let place = "the master";
    match timeout(after, statement).await {
        Ok(answered) => answered.map_err(|error| SqlError::of(place, error)),
        Err(_) => Err(SqlError::Silent { place: place.to_owned(), after }),
    }
}

/// An SQL connection with the pinned settings; it ends when this is dropped.
pub struct SqlSession {
    client: Client,
    driver: JoinHandle<()>,
}

impl Deref for SqlSession {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl SqlSession {
    /// For a transaction, which needs the client mutably.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for SqlSession {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Source {
    /// Opens an SQL connection.
    pub async fn connect_sql(&self) -> Result<SqlSession, SqlError> {
        // The limit inside is for TCP alone, and for each host.
        let hosts = u32::try_from(self.endpoints().len()).unwrap_or(u32::MAX);
        let after = self.connect_timeout().saturating_mul(hosts.saturating_add(1));
        timeout(after, self.log_in())
            .await
            .unwrap_or_else(|_| Err(SqlError::Silent { place: self.to_string(), after }))
    }

    async fn log_in(&self) -> Result<SqlSession, SqlError> {
        let mut config = self.config().clone();
        config.channel_binding(match self.channel_binding() {
            ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
            ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
            ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
        });
        // As in libpq, TLS is not for Unix sockets.
        let all_local =
            self.endpoints().iter().all(|endpoint| matches!(endpoint, Endpoint::Unix { .. }));
        config.ssl_mode(match self.tls().mode {
            _ if all_local => tokio_postgres::config::SslMode::Disable,
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                tokio_postgres::config::SslMode::Require
            }
        });
        let place = || self.to_string();
        let (client, driver) = match self.tls_config()? {
            Some(tls) => {
                let tls = MakeRustlsConnect::new(Arc::unwrap_or_clone(tls));
                let (client, connection) =
                    config.connect(tls).await.map_err(|error| SqlError::of(place(), error))?;
                (client, tokio::spawn(drive(connection)))
            }
            None => {
                let (client, connection) =
                    config.connect(NoTls).await.map_err(|error| SqlError::of(place(), error))?;
                (client, tokio::spawn(drive(connection)))
            }
        };
        Ok(SqlSession { client, driver })
    }
}

/// Runs the connection. Its failure reaches whoever waits for an answer, so it is only noted here.
async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "SQL connection ended");
    }
}
