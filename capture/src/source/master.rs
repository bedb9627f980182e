use std::{env, fmt, ops::Deref};

use pg_server::{Server, UrlError};

use super::session::startup_options;

const APPLICATION_NAME: &str = "tailwater-capture";

/// The master database: how to reach it and log in, for SQL and for replication alike, with the pinned
/// settings.
#[derive(Clone)]
pub struct Source(Server);

impl Source {
    /// Reads `postgres://user:password@host:port/database?sslmode=…`. Where the URL has none, user and
    /// password are taken from `PGUSER` and `PGPASSWORD`.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let (user, password) = (env::var("PGUSER").ok(), env::var("PGPASSWORD").ok());
        Self::from_url_and(url, user.as_deref(), password.as_deref())
    }

    /// As [`Source::from_url`], with the stand-ins given instead of looked up.
    pub fn from_url_and(
        url: &str,
        user: Option<&str>,
        password: Option<&str>,
    ) -> Result<Self, UrlError> {
        let server = Server::from_url_and(url, user, password, APPLICATION_NAME)?;
        Ok(Self(server.with_options(startup_options)))
    }

    /// Another database of the same server, with the same log-in.
    pub fn with_database(&self, database: &str) -> Self {
        Self(self.0.with_database(database))
    }
}

impl Deref for Source {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

/// Names hosts, role and database; no password.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {} at ", self.database())?;
        for (at, endpoint) in self.endpoints().iter().enumerate() {
            write!(f, "{}{endpoint}", if at == 0 { "" } else { ", " })?;
        }
        write!(f, " as {}", self.user())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self}, {:?})", self.tls().mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named() {
        let source = Source::from_url_and("postgres://u@a:1,b:2/d", None, None).unwrap();
        assert_eq!(source.to_string(), "database d at a:1, b:2 as u");
    }

    #[test]
    fn pinned_settings_come_after_the_users_own() {
        let source =
            Source::from_url_and("postgres://u@h/d?options=-c%20TimeZone%3DCET", None, None)
                .unwrap();
        let options = source.config().get_options().unwrap();
        assert!(options.starts_with("-c TimeZone=CET -c DateStyle=ISO,MDY "), "{options}");
        assert!(options.contains(" -c TimeZone=UTC "), "{options}");
    }
}
