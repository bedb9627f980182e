use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use pg_server::{ConnectError, UrlError};
use tokio::{task::JoinHandle, time::timeout};

use super::refusal::{error_of, why};
use crate::target::TargetError;

const APPLICATION_NAME: &str = "tailwater-terminal";
/// How long the goodbye may take.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// A PostgreSQL database to connect to. Printed without its password.
#[derive(Clone, Debug)]
pub struct Server(pg_server::Server);

/// A connection; it ends when this is dropped.
pub(crate) struct Session {
    pub(crate) client: Arc<tokio_postgres::Client>,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Ends the connection, and waits until the server was told, so that its locks go.
    pub(crate) async fn close(mut self) {
        let driver = std::mem::replace(&mut self.driver, tokio::spawn(async {}));
        drop(self);
        let _ = timeout(CLOSE_WAIT, driver).await;
    }
}

impl Server {
    /// Reads `postgres://user:password@host:port/database?sslmode=…`. Where the URL has none, user and
    /// password are taken from `PGUSER` and `PGPASSWORD`.
    pub fn from_url(text: &str) -> Result<Self, TargetError> {
        let server = pg_server::Server::from_url(text, APPLICATION_NAME);
        server.map(Self).map_err(|error| TargetError::Url {
            why: match error {
                UrlError::Scheme => format!("{error}, or sqlite:FILE"),
                error => error.to_string(),
            },
        })
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Session, TargetError> {
        match self.0.connect().await {
            Ok((client, driver)) => Ok(Session { client: Arc::new(client), driver }),
            Err(ConnectError::Tls(error)) => Err(TargetError::Url { why: why(&error) }),
            Err(ConnectError::Failed(error)) => Err(error_of(&self.to_string(), "connect", &error)),
            Err(silent @ ConnectError::Silent { .. }) => {
                Err(TargetError::Unreachable { target: self.to_string(), why: silent.to_string() })
            }
        }
    }
}

impl Deref for Server {
    type Target = pg_server::Server;

    fn deref(&self) -> &pg_server::Server {
        &self.0
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
