use std::str::FromStr;

use crate::{postgres::Server, sqlite::SqliteFile, target::TargetError};

/// A target, not opened yet.
#[derive(Clone, Debug)]
pub enum TargetAddress {
    /// A PostgreSQL database.
    Postgres(Box<Server>),
    /// A SQLite file.
    Sqlite(SqliteFile),
}

impl FromStr for TargetAddress {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text.trim().strip_prefix("sqlite:") {
            Some(file) => SqliteFile::new(file).map(Self::Sqlite),
            None => Server::from_url(text).map(Box::new).map(Self::Postgres),
        }
    }
}

impl TargetAddress {
    /// The database's name: that of the file for SQLite.
    pub fn database(&self) -> String {
        match self {
            Self::Postgres(server) => server.database().to_owned(),
            Self::Sqlite(file) => {
                let stem = file.path.file_stem().unwrap_or_default();
                stem.to_string_lossy().into_owned()
            }
        }
    }
}
