use std::{env, fmt, sync::Arc, time::Duration};

use rustls::ClientConfig;

use super::{
    params::{ChannelBinding, Endpoint, TlsParams},
    tls::{TlsError, client_config},
    url,
    url_error::UrlError,
};

/// How long one attempt to connect to one host may take where the URL says nothing.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// TCP keepalive where the URL says nothing: a dead peer is noticed after a minute, not after two hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// A database of a PostgreSQL server: how to reach it, and how to log in.
#[derive(Clone)]
pub struct Server {
    config: tokio_postgres::Config,
    endpoints: Vec<Endpoint>,
    tls: TlsParams,
    channel_binding: ChannelBinding,
}

impl Server {
    /// Reads `postgres://user:password@host:port/database?sslmode=…`. Where the URL has none, user and
    /// password are taken from `PGUSER` and `PGPASSWORD`, and the application is named `application`.
    pub fn from_url(url: &str, application: &str) -> Result<Self, UrlError> {
        let (user, password) = (env::var("PGUSER").ok(), env::var("PGPASSWORD").ok());
        Self::from_url_and(url, user.as_deref(), password.as_deref(), application)
    }

    /// As [`Server::from_url`], with the stand-ins given instead of looked up.
    pub fn from_url_and(
        url: &str,
        user: Option<&str>,
        password: Option<&str>,
        application: &str,
    ) -> Result<Self, UrlError> {
        let url::ParsedUrl { mut config, endpoints, tls, channel_binding } =
            url::parse(url, user, password)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(DEFAULT_CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name(application);
        }
        if config.get_keepalives_interval().is_none() {
            config
                .keepalives_idle(KEEPALIVE_IDLE)
                .keepalives_interval(KEEPALIVE_INTERVAL)
                .keepalives_retries(KEEPALIVE_RETRIES);
        }
        Ok(Self { config, endpoints, tls, channel_binding })
    }

    /// The hosts, in the order they are tried.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The role that logs in.
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// The database that is captured.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }

    /// Longest time for one attempt at one host.
    pub fn connect_timeout(&self) -> Duration {
        self.config.get_connect_timeout().copied().unwrap_or(DEFAULT_CONNECT_TIMEOUT)
    }

    /// What the URL says about TLS.
    pub fn tls(&self) -> &TlsParams {
        &self.tls
    }

    /// Whether the password exchange must be tied to the TLS session.
    pub fn channel_binding(&self) -> ChannelBinding {
        self.channel_binding
    }

    /// Another database of the same server, with the same log-in.
    pub fn with_database(&self, database: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(database);
        other
    }

    /// Sets the start-up parameter `options` to what `of` makes of the URL's own.
    pub fn with_options(mut self, of: impl FnOnce(Option<&str>) -> String) -> Self {
        let options = of(self.config.get_options());
        self.config.options(options);
        self
    }

    /// All that is not TLS: never print it.
    pub fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    /// The TLS configuration, read from its files anew, so that renewed certificates count at the next connection.
    pub fn tls_config(&self) -> Result<Option<Arc<ClientConfig>>, TlsError> {
        client_config(&self.tls)
    }
}

/// Names hosts, role and database; no password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@", self.user())?;
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            write!(f, "{}{endpoint}", if at == 0 { "" } else { "," })?;
        }
        write!(f, "/{}", self.database())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self}, {:?})", self.tls.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::params::SslMode, *};

    fn parse(url: &str) -> Result<Server, UrlError> {
        Server::from_url_and(url, None, None, "test")
    }

    #[test]
    fn a_full_url_is_understood() {
        let server = parse(
            "postgresql://me:s%20cret@db.example:6432/orders?sslmode=verify-full&sslrootcert=%2Fetc%2Fmy%20ca.pem\
             &connect_timeout=3&channel_binding=require&application_name=x",
        )
        .unwrap();
        assert_eq!(server.to_string(), "postgres://me@db.example:6432/orders");
        assert_eq!(server.config().get_password(), Some(&b"s cret"[..]));
        assert_eq!(server.connect_timeout(), Duration::from_secs(3));
        assert_eq!(server.channel_binding(), ChannelBinding::Require);
        assert_eq!(server.tls().mode, SslMode::VerifyFull);
        assert_eq!(server.tls().root_cert.as_deref(), Some("/etc/my ca.pem".as_ref()));
        assert_eq!(server.config().get_application_name(), Some("x"));
    }

    #[test]
    fn hosts_may_be_several_or_sockets_or_ipv6() {
        assert_eq!(parse("postgres://u@a:1,b:2/d").unwrap().to_string(), "postgres://u@a:1,b:2/d");
        assert_eq!(parse("postgres://u@[::1]/d").unwrap().endpoints()[0].to_string(), "[::1]:5432");
        for url in ["postgres:///d?host=/run/pg&user=u&port=7", "postgres://u@%2Frun%2Fpg:7/d"] {
            assert_eq!(
                parse(url).unwrap().endpoints()[0].to_string(),
                "/run/pg/.s.PGSQL.7",
                "{url}"
            );
        }
    }

    #[test]
    fn passwords_come_from_the_url_first() {
        let with = |url| Server::from_url_and(url, Some("env-user"), Some("env"), "test").unwrap();
        assert_eq!(with("postgres://h/d").config().get_password(), Some(&b"env"[..]));
        assert_eq!(with("postgres://h/d").user(), "env-user");
        assert_eq!(with("postgres://u:url@h/d").config().get_password(), Some(&b"url"[..]));
        assert_eq!(with("postgres://u:p@ss@h/d").config().get_password(), Some(&b"p@ss"[..]));
    }

    #[test]
    fn a_bad_url_is_explained_and_never_shows_the_password() {
        let cases = [
            ("host=db dbname=d", "begins with postgres://"),
            ("postgres://u:TOPSECRET@h/d?sslmode=maybe", "sslmode=maybe"),
            ("postgres://u:TOPSECRET@h/d?sslmod=require", "unknown option `sslmod`"),
            ("postgres://u:TOPSECRET@h/d?sslmode", "'sslmode' has no value"),
            ("postgres://u:TOPSECRET@h:port/d", "invalid value for option `port`"),
            ("postgres://u:TOPSECRET@h:99999/d", "invalid value for option `port`"),
            ("postgres://u:TOPSECRET@h", "names no database"),
            ("postgres://u:TOPSECRET@/d", "names no host"),
            ("postgres://h/d", "names no user"),
            ("postgres://u:TOP/SECRET@h/d", "%2F"),
            ("postgres://u:TOP?SECRET@h/d", "%3F"),
            ("postgres://u:TOPSECRET@h/d?connect_timeout=soon", "connect_timeout"),
            ("postgres://u:TOPSECRET@h/d?sslcert=x", "sslkey"),
            (
                "postgres://u:TOPSECRET@h/d?sslmode=disable&channel_binding=require",
                "channel_binding=require needs TLS",
            ),
            ("postgres://u@h/d?sslrootcert=%zz", "hexadecimal"),
            ("postgres://u@h/d?password=TOPSECRET", "PGPASSWORD"),
        ];
        for (url, expected) in cases {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("TOP") && !error.contains("SECRET"), "{url}: {error}");
        }
        assert!(
            !format!("{:?}", parse("postgres://u:TOPSECRET@h/d").unwrap()).contains("TOPSECRET")
        );
    }
}
