use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, NoTls, config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    params::{Endpoint, SslMode},
    server::Server,
    tls::TlsError,
};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TLS cannot be set up as the URL asks.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server refused, was not reached, or the connection broke.
    #[error(transparent)]
    Failed(#[from] tokio_postgres::Error),
    /// Nobody answered in time.
    #[error("no answer within {} s", after.as_secs_f32())]
    Silent {
        /// How long it was waited.
        after: Duration,
    },
}

impl Server {
    /// Logs in for SQL. The connection lives as long as the task, which ends by itself once the client is dropped.
    pub async fn connect(&self) -> Result<(Client, JoinHandle<()>), ConnectError> {
        // The limit inside is for TCP alone, and for each host: one that takes a connection and says nothing
        // would be waited for without an end.
        let hosts = u32::try_from(self.endpoints().len()).unwrap_or(u32::MAX);
        let after = self.connect_timeout().saturating_mul(hosts.saturating_add(1));
        timeout(after, self.log_in()).await.unwrap_or(Err(ConnectError::Silent { after }))
    }

    async fn log_in(&self) -> Result<(Client, JoinHandle<()>), ConnectError> {
        let mut config = self.config().clone();
        // As in libpq, TLS is not for Unix sockets.
        let local = self.endpoints().iter().all(|e| matches!(e, Endpoint::Unix { .. }));
        config.ssl_mode(match self.tls().mode {
            _ if local => config::SslMode::Disable,
            SslMode::Disable => config::SslMode::Disable,
            SslMode::Prefer => config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => config::SslMode::Require,
        });
        match self.tls_config()? {
            Some(tls) => {
                let tls = MakeRustlsConnect::new(Arc::unwrap_or_clone(tls));
                let (client, connection) = config.connect(tls).await?;
                Ok((client, tokio::spawn(drive(connection))))
            }
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                Ok((client, tokio::spawn(drive(connection))))
            }
        }
    }
}

/// Runs the connection. Its failure reaches whoever waits for an answer, so it is only noted here.
async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "the SQL connection ended");
    }
}
