use std::{sync::Arc, time::Duration};

use postgres_protocol::escape::escape_identifier;

use super::{
    connection::Walsender,
    error::WalsenderError,
    feedback::{Feedback, Signals},
    reader::StreamReader,
    version::ServerVersion,
};

/// Which stream to open.
#[derive(Debug, Clone)]
pub struct StartReplication {
    pub slot: String,
    pub publications: Vec<String>,
}

/// Timing of a stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamSettings {
    /// How often the server is told our position without asking. Keep it well below the server's
    /// `wal_sender_timeout` (60 s). Default 1 s.
    pub status_every: Duration,
    /// After half of this without a byte the server is asked for a sign, after all of it the connection
    /// counts as dead. Above any time in which a busy server decodes without answering. Default 120 s.
    pub silence_limit: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self { status_every: Duration::from_secs(1), silence_limit: Duration::from_secs(120) }
    }
}

impl Walsender {
    /// Opens the stream of a slot, from where the slot is: any position given would silently be moved
    /// forward to that, and never moved back.
    pub async fn start(
        self,
        start: &StartReplication,
        settings: StreamSettings,
    ) -> Result<(StreamReader, Feedback), WalsenderError> {
        let command = start_command(start, self.version());
        let doing = format!("to stream from the replication slot {}", start.slot);
        let stream = self.open_stream(&doing, &command).await?;
        let signals = Arc::new(Signals::default());
        let reader = StreamReader::new(
            stream.reader,
            stream.frames,
            Arc::clone(&signals),
            settings.silence_limit,
        );
        Ok((reader, Feedback::spawn(stream.writer, signals, settings.status_every)))
    }
}

fn start_command(start: &StartReplication, version: ServerVersion) -> String {
    let publications: Vec<String> =
        start.publications.iter().map(|name| escape_identifier(name)).collect();
    format!(
        "START_REPLICATION SLOT {} LOGICAL 0/0 (proto_version '1', publication_names {}{})",
        escape_identifier(&start.slot),
        replication_literal(&publications.join(",")),
        version.stream_options(),
    )
}

/// The grammar of replication commands knows no `E''`: there a backslash is a backslash.
fn replication_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_twice() {
        let start = StartReplication {
            slot: "tailwater".into(),
            publications: vec!["a".into(), "B \"x\" it's \\".into()],
        };
        assert_eq!(
            start_command(&start, ServerVersion::parse("15.1").unwrap()),
            "START_REPLICATION SLOT \"tailwater\" LOGICAL 0/0 (proto_version '1', publication_names \
             '\"a\",\"B \"\"x\"\" it''s \\\"', messages 'true')"
        );
        assert!(!start_command(&start, ServerVersion::parse("13.1").unwrap()).contains("messages"));
    }
}
