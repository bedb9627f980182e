use crate::source::SqlError;

/// Why schema changes cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum DdlError {
    /// An SQL statement failed, or there is no connection.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The server refused the installation.
    #[error(
        "--ddl cannot install its event triggers: {source}. They need a superuser (or what a provider has in its place): let capture \
         log in as one, or leave --ddl out, and schema changes stop the terminals with the statements to run there"
    )]
    Install { source: Box<SqlError> },
    /// Another capture of this database does it.
    #[error(
        "--ddl: the schema changes of this database are recorded for the publication '{publication}' already, and one capture of \
         a database can have that. Leave --ddl out here, or take it from the other: tailwater-capture remove --publication '{publication}'"
    )]
    Taken { publication: String },
    /// The user's publication leaves the records out.
    #[error(
        "--ddl: the publication '{publication}' is not capture's own, and does not carry the schema changes. Nothing was changed. \
         Run, then start again:\n  {add}"
    )]
    NotCarried { publication: String, add: String },
    /// Somebody else could write what terminals obey.
    #[error(
        "--ddl: the role {role} may write to tailwater.schema_changes, and the terminals would do what it writes. Nothing was \
         installed. Run REVOKE ALL ON tailwater.schema_changes FROM {role} (and see ALTER DEFAULT PRIVILEGES), then start again"
    )]
    Writable { role: String },
}
