//! TLS before a server that speaks none, as a reverse proxy gives it.

use std::{path::PathBuf, process::Command, sync::Arc};

use anyhow::{Result, ensure};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::scratch::Scratch;

/// Listens on a port of loopback with a certificate of its own; stops when dropped.
#[derive(Debug)]
pub struct TlsFront {
    url: String,
    folder: Scratch,
    accepting: JoinHandle<()>,
}

impl TlsFront {
    /// Before the server on a port of loopback.
    pub async fn to_port(port: u16) -> Result<Self> {
        let folder = Scratch::new("tls")?;
        let config = certified(&folder)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Ok(Self { url, folder, accepting })
    }

    /// `https://localhost:…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The root that clients have to trust, as `SSL_CERT_FILE` names it.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root.crt")
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn certified(folder: &Scratch) -> Result<ServerConfig> {
    let path = folder.path();
    std::fs::write(path.join("names.txt"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")?;
    for arguments in [
        "req -new -x509 -days 2 -nodes -subj /CN=root -out root.crt -keyout root.key",
        "req -new -nodes -subj /CN=server -out server.csr -keyout server.key",
        "x509 -req -days 2 -in server.csr -CA root.crt -CAkey root.key -CAcreateserial -extfile names.txt -out server.crt",
    ] {
        let made = Command::new("openssl").current_dir(path).args(arguments.split(' ')).output()?;
        let why = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "openssl {arguments}: {why}");
    }
    let certificate = CertificateDer::from_pem_file(path.join("server.crt"))?;
    let key = PrivateKeyDer::from_pem_file(path.join("server.key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth();
    Ok(config.with_single_cert(vec![certificate], key)?)
}
