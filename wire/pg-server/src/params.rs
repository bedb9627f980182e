use std::{path::PathBuf, str::FromStr};

/// How much TLS a connection must have; the names and meanings are libpq's (PostgreSQL manual,
/// 34.19 "SSL Support").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server offers it; the certificate is not checked.
    #[default]
    Prefer,
    /// TLS or nothing; the certificate is checked only where `sslrootcert` is given.
    Require,
    /// TLS with a certificate that leads to a trusted root.
    VerifyCa,
    /// As `VerifyCa`, and the certificate must name the host.
    VerifyFull,
}

impl SslMode {
    /// The words a URL may use.
    pub const ALLOWED: &'static str = "disable, prefer, require, verify-ca, verify-full";
}

impl FromStr for SslMode {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "disable" => Ok(Self::Disable),
            "prefer" | "allow" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(()),
        }
    }
}

/// Whether the password exchange must be tied to the TLS session (SCRAM-SHA-256-PLUS).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where both sides can.
    #[default]
    Prefer,
    /// Or no connection.
    Require,
}

/// What a URL says about TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsParams {
    /// How much TLS.
    pub mode: SslMode,
    /// PEM file with the trusted roots; without it the system's.
    pub root_cert: Option<PathBuf>,
    /// PEM file with this client's certificate chain.
    pub client_cert: Option<PathBuf>,
    /// PEM file with this client's private key.
    pub client_key: Option<PathBuf>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A host by name or address. `address` overrides the name look-up.
    Tcp { host: String, address: Option<std::net::IpAddr>, port: u16 },
    /// The directory of a Unix socket.
    Unix { directory: PathBuf, port: u16 },
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix { directory, port } => write!(f, "{}/.s.PGSQL.{port}", directory.display()),
        }
    }
}
