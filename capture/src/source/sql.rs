use std::{error::Error as _, ops::Deref, time::Duration};

use pg_server::{ConnectError, TlsError};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::Client;

use super::{master::Source, refusal::Refusal, server_error::ServerError};

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
        "{place} did not answer within {} s: the network between swallows what is sent, the server is overloaded, \
         or a table is locked there (pg_locks says by whom)",
        after.as_secs_f32()
    )]
    Silent { place: String, after: Duration },
    /// What the server says of itself is not understood.
    #[error(
        "{place} tells of {what} what is not understood: is tailwater-capture older than the server? Update it"
    )]
    Unreadable { place: String, what: String, source: serde_json::Error },
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
        match self.connect().await {
            Ok((client, driver)) => Ok(SqlSession { client, driver }),
            Err(ConnectError::Tls(error)) => Err(error.into()),
            Err(ConnectError::Failed(error)) => Err(SqlError::of(self.to_string(), error)),
            Err(ConnectError::Silent { after }) => {
                Err(SqlError::Silent { place: self.to_string(), after })
            }
        }
    }
}
