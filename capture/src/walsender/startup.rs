use bytes::BytesMut;
use postgres_protocol::message::frontend;

use crate::source::Source;

/// The startup message of a replication connection that also takes SQL (`replication=database`).
pub(super) fn startup_message(source: &Source, out: &mut BytesMut) -> std::io::Result<()> {
    let config = source.config();
    let parameters = [
        ("user", source.user()),
        ("database", source.database()),
        ("replication", "database"),
        ("client_encoding", "UTF8"),
        ("application_name", config.get_application_name().unwrap_or_default()),
        ("options", config.get_options().unwrap_or_default()),
    ];
    frontend::startup_message(parameters, out)
}
