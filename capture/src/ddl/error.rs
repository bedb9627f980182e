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
        "--ddl: the role {role} may write to {what}, and the terminals would do what it writes. Nothing was installed. See \
         ALTER DEFAULT PRIVILEGES, or where it is there already run REVOKE ALL ON {what} FROM {role}; then start again"
    )]
    Writable { role: String, what: String },
    /// The stream has rows of a table that only looks like ours.
    #[error(
        "the stream carries a table tailwater.schema_changes (OID {oid}) that no capture of this role or a superuser installed, and the \
         terminals would do what its rows say: nothing of them was passed on. Find out who made it; to go on take it out of the \
         publication and capture under a new source name"
    )]
    Untrusted { oid: u32 },
    /// Somebody else owns what it is made in.
    #[error(
        "--ddl: {what} belongs to the role {role}, which could have anything run in its place with capture's rights, and at the \
         terminals. Nothing was installed. Give it to a superuser (ALTER … OWNER TO …), then start again; where this database is \
         a terminal too, let that pull as a superuser or leave --ddl out"
    )]
    Foreign { what: String, role: String },
}
