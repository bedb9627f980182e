//! The harness's HTTP client.

use std::{sync::OnceLock, time::Duration};

use anyhow::{Context, Result};
pub(crate) use reqwest::{Client, RequestBuilder};

/// A client that uses no proxy and waits at most ten seconds. One for each call: its idle
/// connections belong to a runtime, and each test has its own.
pub fn client() -> Result<Client> {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // An error means that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .context("cannot make an HTTP client")
}
