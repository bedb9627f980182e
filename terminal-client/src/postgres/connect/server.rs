use std::{env, fmt, sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    params::{Endpoint, SslMode, TlsParams},
    refusal::{error_of, why},
    tls::client_config,
    url,
};
use crate::target::TargetError;

/// How long one attempt to connect to one host may take where the URL says nothing.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A dead peer is noticed after a minute, not after two hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long the goodbye may take.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// A PostgreSQL database to connect to. Printed without its password.
#[derive(Clone)]
pub struct Server {
    config: tokio_postgres::Config,
    endpoints: Vec<Endpoint>,
    tls: TlsParams,
}

/// A connection; it ends when this is dropped.
pub(crate) struct Session {
    pub(crate) client: Arc<tokio_postgres::Client>,
    driver: tokio::task::JoinHandle<()>,
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
        let (user, password) = (env::var("PGUSER").ok(), env::var("PGPASSWORD").ok());
        let parsed = url::parse(text, user.as_deref(), password.as_deref())
            .map_err(|error| TargetError::Url { why: error.to_string() })?;
        let url::ParsedUrl { mut config, endpoints, tls } = parsed;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(DEFAULT_CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("tailwater-terminal");
        }
        config
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES);
        Ok(Self { config, endpoints, tls })
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Session, TargetError> {
        // The limit inside is for TCP alone, and for each host.
        let hosts = u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX);
        let limit = self.config.get_connect_timeout().copied().unwrap_or(DEFAULT_CONNECT_TIMEOUT);
        let after = limit.saturating_mul(hosts.saturating_add(1));
        timeout(after, self.log_in()).await.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", after.as_secs_f32());
            Err(TargetError::Unreachable { target: self.to_string(), why })
        })
    }

    async fn log_in(&self) -> Result<Session, TargetError> {
        let mut config = self.config.clone();
        // As in libpq, TLS is not for Unix sockets.
        let local = self.endpoints.iter().all(|e| matches!(e, Endpoint::Unix { .. }));
        config.ssl_mode(match self.tls.mode {
            _ if local => tokio_postgres::config::SslMode::Disable,
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            _ => tokio_postgres::config::SslMode::Require,
        });
        let tls =
            client_config(&self.tls).map_err(|error| TargetError::Url { why: why(&error) })?;
        let failed = |error| error_of(&self.to_string(), "connect", &error);
        let (client, driver) = match tls {
            Some(tls) => {
                let tls = MakeRustlsConnect::new(Arc::unwrap_or_clone(tls));
                let (client, connection) = config.connect(tls).await.map_err(failed)?;
                (client, tokio::spawn(drive(connection)))
            }
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
                (client, tokio::spawn(drive(connection)))
            }
        };
        Ok(Session { client: Arc::new(client), driver })
    }
}

/// Runs the connection. Its failure reaches whoever waits for an answer, so it is only noted here.
async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "the target's connection ended");
    }
}

/// Names hosts, role and database; no password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        write!(f, "postgres://{}@", config.get_user().unwrap_or_default())?;
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            write!(f, "{}{endpoint}", if at == 0 { "" } else { "," })?;
        }
        write!(f, "/{}", config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self}, {:?})", self.tls.mode)
    }
}
