//! Certificates made by openssl, in a server's data folder.

use std::{
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use harness::{Cluster, Shutdown};

/// Files of a server with TLS.
pub(crate) struct Certificates {
    /// Signs itself, names `localhost` as common name only, as `openssl req -x509` makes it.
    pub(crate) self_signed: PathBuf,
    /// A root, and nothing else.
    pub(crate) root: PathBuf,
}

fn openssl(folder: &Path, arguments: &str) -> Result<()> {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output()?;
    ensure!(
        output.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Makes all certificates; the server's own is the self-signed one.
pub(crate) fn make(cluster: &Cluster) -> Result<Certificates> {
    let data = cluster.data_dir();
    openssl(
        &data,
        "req -new -x509 -days 2 -nodes -subj /CN=localhost -out self.crt -keyout self.key",
    )?;
    openssl(&data, "req -new -x509 -days 2 -nodes -subj /CN=root -out root.crt -keyout root.key")?;
    openssl(&data, "req -new -nodes -subj /CN=server -out signed.csr -keyout signed.key")?;
    std::fs::write(data.join("names.txt"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")?;
    openssl(
        &data,
        "x509 -req -days 2 -sha384 -in signed.csr -CA root.crt -CAkey root.key -CAcreateserial \
         -extfile names.txt -out signed.crt",
    )?;
    let owner = std::fs::metadata(&data)?;
    for key in ["self.key", "signed.key"] {
        chown(data.join(key), Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(Certificates { self_signed: data.join("self.crt"), root: data.join("root.crt") })
}

/// Restarts `cluster` with TLS and the named certificate.
pub(crate) async fn serve(cluster: &mut Cluster, name: &str) -> Result<()> {
    let settings = [
        ("ssl".to_owned(), "on".to_owned()),
        ("ssl_cert_file".to_owned(), format!("{name}.crt")),
        ("ssl_key_file".to_owned(), format!("{name}.key")),
    ];
    cluster.write_settings(&settings.into())?;
    cluster.restart(Shutdown::Fast).await.context("with TLS")
}
