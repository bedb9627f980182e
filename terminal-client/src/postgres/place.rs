use tokio_postgres::Client;
use wire::SourceName;

/// Where something is done, for its statements and their errors.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) target: &'a str,
    pub(super) client: &'a Client,
    pub(super) source: &'a SourceName,
}
