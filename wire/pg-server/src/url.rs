//! `postgres://` URLs, read as libpq reads them, with the TLS options that `tokio_postgres` does not know.

use std::{error::Error as _, path::PathBuf};

use tokio_postgres::config::{Host, SslNegotiation};

use super::{
    params::{ChannelBinding, Endpoint, SslMode, TlsParams},
    url_error::UrlError,
};

/// A URL taken apart.
pub(super) struct ParsedUrl {
    /// Everything but TLS, user and database being set.
    pub(super) config: tokio_postgres::Config,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) tls: TlsParams,
    pub(super) channel_binding: ChannelBinding,
}

/// Reads `url`. `user` and `password` stand in where the URL has none.
pub(super) fn parse(
    url: &str,
    user: Option<&str>,
    password: Option<&str>,
) -> Result<ParsedUrl, UrlError> {
    let parts = split(url)?;
    let (tls, rest) = take_tls_options(parts.query)?;
    let cleaned = format!("postgres://{}{}?{rest}", parts.credentials, parts.place);
    let mut config: tokio_postgres::Config = cleaned.parse().map_err(malformed)?;

    if config.get_user().is_none_or(str::is_empty) {
        config.user(user.ok_or(UrlError::Missing { part: "user", hint: " (or set PGUSER)" })?);
    }
    if let (None, Some(password)) = (config.get_password(), password) {
        config.password(password);
    }
    if config.get_dbname().is_none_or(str::is_empty) {
        return Err(UrlError::Missing { part: "database", hint: "" });
    }
    if config.get_ssl_negotiation() != SslNegotiation::Postgres {
        return Err(UrlError::Unsupported { option: "sslnegotiation=direct".into() });
    }
    let endpoints = endpoints(&config)?;
    let channel_binding = match config.get_channel_binding() {
        tokio_postgres::config::ChannelBinding::Disable => ChannelBinding::Disable,
        tokio_postgres::config::ChannelBinding::Require => ChannelBinding::Require,
        _ => ChannelBinding::Prefer,
    };
    if channel_binding == ChannelBinding::Require && tls.mode == SslMode::Disable {
        return Err(UrlError::Conflict {
            why: "channel_binding=require needs TLS, and sslmode=disable forbids it",
        });
    }
    Ok(ParsedUrl { config, endpoints, tls, channel_binding })
}

struct Parts<'a> {
    /// `user:password@`, or nothing.
    credentials: String,
    /// Hosts and database.
    place: &'a str,
    query: &'a str,
}

/// Splits so that a separator inside the password is either understood or refused, never taken for the
/// host (which is printed).
fn split(url: &str) -> Result<Parts<'_>, UrlError> {
    let url = url.trim();
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
        .ok_or(UrlError::Scheme)?;
    let (front, query) = rest.split_once('?').unwrap_or((rest, ""));
    let Some((credentials, place)) = front.rsplit_once('@') else {
        return if query.contains('@') {
            Err(UrlError::Ambiguous)
        } else {
            Ok(Parts { credentials: String::new(), place: front, query })
        };
    };
    if credentials.contains('/') {
        return Err(UrlError::Ambiguous);
    }
    Ok(Parts { credentials: credentials.replace('@', "%40") + "@", place, query })
}

/// The options that are ours, and the query without them.
fn take_tls_options(query: &str) -> Result<(TlsParams, String), UrlError> {
    let mut tls = TlsParams::default();
    let mut mode = None;
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(UrlError::Malformed { why: format!("the option '{pair}' has no value") });
        };
        match key {
            "sslmode" => mode = Some(parse_mode(value)?),
            "sslrootcert" => tls.root_cert = Some(path(value)?),
            "sslcert" => tls.client_cert = Some(path(value)?),
            "sslkey" => tls.client_key = Some(path(value)?),
            "load_balance_hosts" | "replication" => {
                return Err(UrlError::Unsupported { option: key.into() });
            }
            "password" => {
                return Err(UrlError::Unsupported {
                    option:
                        "password (as an option; write postgres://USER:PASSWORD@ or set PGPASSWORD)"
                            .into(),
                });
            }
            _ => rest.push(pair),
        }
    }
    if tls.client_cert.is_some() != tls.client_key.is_some() {
        return Err(UrlError::Conflict { why: "sslcert and sslkey need each other" });
    }
    tls.mode = mode.unwrap_or_default();
    Ok((tls, rest.join("&")))
}

fn parse_mode(value: &str) -> Result<SslMode, UrlError> {
    value.parse().map_err(|()| UrlError::Value {
        option: "sslmode",
        value: shown(value),
        allowed: SslMode::ALLOWED,
    })
}

fn path(value: &str) -> Result<PathBuf, UrlError> {
    let bad = || UrlError::Malformed {
        why: "a '%' must be followed by two hexadecimal digits, and paths must be UTF-8".into(),
    };
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            bytes.next().and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok())
        };
        let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).map(PathBuf::from).map_err(|_| bad())
}

fn endpoints(config: &tokio_postgres::Config) -> Result<Vec<Endpoint>, UrlError> {
    let ports = config.get_ports();
    let addresses = config.get_hostaddrs();
    let endpoints: Vec<Endpoint> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(at, host)| {
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(host) => {
                    Endpoint::Tcp { host: host.clone(), address: addresses.get(at).copied(), port }
                }
                Host::Unix(directory) => Endpoint::Unix { directory: directory.clone(), port },
            }
        })
        .collect();
    if endpoints.is_empty()
        || endpoints.iter().any(|e| matches!(e, Endpoint::Tcp { host, .. } if host.is_empty()))
    {
        return Err(UrlError::Missing {
            part: "host",
            hint: " (or ?host=/var/run/postgresql for a Unix socket)",
        });
    }
    Ok(endpoints)
}

fn malformed(error: tokio_postgres::Error) -> UrlError {
    let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    UrlError::Malformed { why }
}

/// A value short enough for a message.
fn shown(value: &str) -> String {
    value.chars().take(40).collect()
}
