use std::time::Duration;

use bytes::{Bytes, BytesMut};
use postgres_protocol::message::frontend;
use tokio::{io::AsyncWriteExt, time::timeout};

use super::{
    auth::{Credentials, Login, Progress},
    error::WalsenderError,
    frame::{Frame, FrameBuffer, LONGEST_FRAME},
    response::{self, parameter, row, server_error},
    socket::{self, ReadHalf, Socket, WriteHalf},
    startup::startup_message,
    version::ServerVersion,
};
use crate::source::{Endpoint, Source};

/// Longest message before we are logged in, as in libpq: nobody there is known yet.
const LONGEST_LOGIN_FRAME: usize = 30_000;
/// The encoding of texts that may be anything.
const SQL_ASCII: &str = "SQL_ASCII";
/// Longest wait for a command that waits for nobody but the server.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Values of a row as text; a NULL is `None`.
pub type Row = Vec<Option<Bytes>>;

/// A replication connection that waits for a command.
pub struct Walsender {
    place: String,
    reader: ReadHalf,
    writer: WriteHalf,
    frames: FrameBuffer,
    version: ServerVersion,
    process_id: u32,
    /// A command was sent and its end has not come: set when a caller gave up waiting.
    in_command: bool,
    answer_within: Duration,
    /// The database does not know what the bytes of its texts mean; asked for UTF-8, the server refuses
    /// those that are none, and the stream could never pass them.
    any_bytes: bool,
}

/// What is left of a connection whose command opened a stream.
pub(super) struct OpenStream {
    pub(super) reader: ReadHalf,
    pub(super) writer: WriteHalf,
    pub(super) frames: FrameBuffer,
}

impl Walsender {
    /// Connects to the first host of `source` that lets us in.
    pub async fn connect(source: &Source) -> Result<Self, WalsenderError> {
        let mut failure = None;
        for endpoint in source.endpoints() {
            match Self::connect_to(source, endpoint).await {
                Ok(walsender) => return Ok(walsender),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or(WalsenderError::Closed { doing: "connecting" }))
    }

    async fn connect_to(source: &Source, endpoint: &Endpoint) -> Result<Self, WalsenderError> {
        let after = source.connect_timeout();
        // The attempts at each address have their own limit inside.
        let socket = socket::open(source, endpoint).await?;
        let login = Self::log_in(source, endpoint.to_string(), socket);
        timeout(after, login).await.unwrap_or_else(|_| {
            Err(WalsenderError::Timeout { place: endpoint.to_string(), doing: "logging in", after })
        })
    }

    async fn log_in(
        source: &Source,
        place: String,
        socket: Socket,
    ) -> Result<Self, WalsenderError> {
        let Socket { reader, writer, end_point } = socket;
        let version = ServerVersion::unknown();
        let frames = FrameBuffer::new(LONGEST_LOGIN_FRAME);
        let mut this = Self {
            place,
            reader,
            writer,
            frames,
            version,
            process_id: 0,
            in_command: false,
            answer_within: ANSWER_WITHIN,
            any_bytes: false,
        };
        let mut out = BytesMut::new();
        startup_message(source, &mut out)?;
        this.send(&out).await?;
        this.authenticate(source, end_point).await?;
        this.frames.set_limit(LONGEST_FRAME);
        this.greeting().await?;
        if this.any_bytes {
            this.query("to set the encoding", &format!("SET client_encoding = '{SQL_ASCII}'"))
                .await?;
        }
        Ok(this)
    }

    async fn authenticate(
        &mut self,
        source: &Source,
        end_point: Option<Vec<u8>>,
    ) -> Result<(), WalsenderError> {
        let place = self.place.clone();
        let password = source.config().get_password();
        let channel_binding = source.channel_binding();
        let mut login = Login::new(Credentials {
            place: &place,
            user: source.user(),
            password,
            channel_binding,
            end_point,
        });
        loop {
            let frame = self.receive("logging in").await?;
            match frame.tag() {
                response::AUTHENTICATION => {
                    let mut out = BytesMut::new();
                    if login.answer(frame.into_body(), &mut out)? == Progress::LoggedIn {
                        return Ok(());
                    }
                    self.send(&out).await?;
                }
                response::ERROR => return Err(self.login_refused(source, frame)),
                _ => return Err(unexpected(&frame, "logging in")),
            }
        }
    }

    /// Reads up to the first ReadyForQuery, noting the version.
    async fn greeting(&mut self) -> Result<(), WalsenderError> {
        loop {
            let frame = self.receive("logging in").await?;
            match frame.tag() {
                response::PARAMETER => self.note_parameter(frame.into_body())?,
                response::BACKEND_KEY => {
                    let body = frame.into_body();
                    self.process_id = body.first_chunk().map_or(0, |id| u32::from_be_bytes(*id));
                }
                response::READY => return Ok(()),
                response::ERROR => {
                    return Err(WalsenderError::refused(
                        "to log in",
                        server_error(frame.into_body()),
                    ));
                }
                _ => return Err(unexpected(&frame, "logging in")),
            }
        }
    }

    fn note_parameter(&mut self, body: Bytes) -> Result<(), WalsenderError> {
        let Some((name, value)) = parameter(body) else { return Ok(()) };
        match name.as_str() {
            "server_version" => {
                let version = ServerVersion::parse(&value).filter(|version| version.is_supported());
                self.version = version.ok_or_else(|| WalsenderError::TooOld {
                    place: self.place.clone(),
                    version: value,
                })?;
            }
            "server_encoding" => self.any_bytes = value == SQL_ASCII,
            _ => {}
        }
        Ok(())
    }

    fn login_refused(&self, source: &Source, frame: Frame) -> WalsenderError {
        let doing =
            format!("{} to log in to {} at {}", source.user(), source.database(), self.place);
        WalsenderError::refused(doing, server_error(frame.into_body()))
    }

    /// The server's version.
    pub fn version(&self) -> ServerVersion {
        self.version
    }

    /// The server's process, as in `pg_stat_replication`.
    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    /// The host and port that let us in.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// How long a command that waits for nobody may go without an answer. Default 60 s.
    pub fn answer_within(&mut self, limit: Duration) {
        self.answer_within = limit;
    }

    /// Runs one command, replication or SQL, by the simple query protocol; the rows of all its results.
    /// For a command that waits for nobody: it fails where no answer comes in time.
    ///
    /// `doing` completes "the server refused …" and must not carry secrets. A call given up in the middle
    /// leaves the connection useless: the next call says [`WalsenderError::Abandoned`].
    pub async fn query(&mut self, doing: &str, command: &str) -> Result<Vec<Row>, WalsenderError> {
        let unanswered = self.unanswered("running a command");
        timeout(self.answer_within, self.query_patiently(doing, command))
            .await
            .unwrap_or(Err(unanswered))
    }

    fn unanswered(&self, doing: &'static str) -> WalsenderError {
        WalsenderError::Unanswered { place: self.place.clone(), doing, after: self.answer_within }
    }

    /// As [`Walsender::query`], for a command that may wait for long.
    pub(super) async fn query_patiently(
        &mut self,
        doing: &str,
        command: &str,
    ) -> Result<Vec<Row>, WalsenderError> {
        self.send_command(command).await?;
        let mut rows = Vec::new();
        let mut refusal = None;
        loop {
            let frame = match (self.receive("running a command").await, refusal.take()) {
                (Ok(frame), kept) => {
                    refusal = kept;
                    frame
                }
                // After a fatal error the server closes; the error says more than the end.
                (Err(_), Some(refusal)) => return Err(refusal),
                (Err(error), None) => return Err(error),
            };
            match frame.tag() {
                response::DATA_ROW => {
                    let row =
                        row(frame.into_body()).ok_or_else(|| unexpected_what("a broken row"))?;
                    rows.push(row);
                }
                response::ERROR => {
                    refusal = Some(WalsenderError::refused(doing, server_error(frame.into_body())))
                }
                response::ROW_DESCRIPTION
                | response::COMMAND_COMPLETE
                | response::EMPTY_QUERY
                | response::PARAMETER => {}
                response::READY => {
                    self.in_command = false;
                    return refusal.map_or(Ok(rows), Err);
                }
                _ => return Err(unexpected(&frame, "running a command")),
            }
        }
    }

    /// Runs a command that is answered with CopyBoth.
    pub(super) async fn open_stream(
        self,
        doing: &str,
        command: &str,
    ) -> Result<OpenStream, WalsenderError> {
        let unanswered = self.unanswered("starting the stream");
        timeout(self.answer_within, self.opened(doing, command)).await.unwrap_or(Err(unanswered))
    }

    async fn opened(mut self, doing: &str, command: &str) -> Result<OpenStream, WalsenderError> {
        self.send_command(command).await?;
        loop {
            let frame = self.receive("starting the stream").await?;
            match frame.tag() {
                response::COPY_BOTH => {
                    let Self { reader, writer, frames, .. } = self;
                    return Ok(OpenStream { reader, writer, frames });
                }
                response::ERROR => {
                    return Err(WalsenderError::refused(doing, server_error(frame.into_body())));
                }
                response::PARAMETER => {}
                _ => return Err(unexpected(&frame, "starting the stream")),
            }
        }
    }

    /// Says goodbye. Without it the server notes a lost connection in its log.
    pub async fn close(mut self) {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        // Nothing depends on it: the socket is closed either way.
        let _ = self.send(&out).await;
    }

    async fn send_command(&mut self, command: &str) -> Result<(), WalsenderError> {
        if self.in_command {
            return Err(WalsenderError::Abandoned);
        }
        self.in_command = true;
        let mut out = BytesMut::new();
        frontend::query(command, &mut out)?;
        self.send(&out).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), WalsenderError> {
        self.writer.write_all(bytes).await?;
        Ok(self.writer.flush().await?)
    }

    /// The next message that is not a notice.
    async fn receive(&mut self, doing: &'static str) -> Result<Frame, WalsenderError> {
        loop {
            match self.frames.next_frame()? {
                Some(frame) if matches!(frame.tag(), response::NOTICE | response::NOTIFICATION) => {
                    tracing::debug!(notice = %server_error(frame.into_body()), "the server notes");
                }
                Some(frame) => return Ok(frame),
                None if self.frames.fill(&mut self.reader).await? == 0 => {
                    return Err(WalsenderError::Closed { doing });
                }
                None => {}
            }
        }
    }
}

fn unexpected(frame: &Frame, doing: &'static str) -> WalsenderError {
    WalsenderError::Unexpected { what: format!("message '{}'", frame.tag().escape_ascii()), doing }
}

fn unexpected_what(what: &str) -> WalsenderError {
    WalsenderError::Unexpected { what: what.to_owned(), doing: "running a command" }
}
