//! Plain connections to PostgreSQL.

use anyhow::{Context, Result};
use tokio_postgres::{Client, NoTls};

/// Connects without TLS; the connection works in the background until the client is dropped.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .with_context(|| format!("cannot connect to {url}"))?;
    tokio::spawn(async move {
        // The client's next call says what went wrong; here nobody listens.
        let _ = connection.await;
    });
    Ok(client)
}
