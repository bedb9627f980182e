use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    copy_data::CopyData,
    error::WalsenderError,
    feedback::Signals,
    frame::{Frame, FrameBuffer},
    response::{self, server_error},
    silence::{Silence, Verdict},
    socket::ReadHalf,
};

const DOING: &str = "streaming";
/// A server sends each change by itself, however many there are. Where they come in closer order than this,
/// they are read together: to be woken by each of them costs both sides more than the change does.
const GATHER: Duration = Duration::from_millis(1);
/// What comes in such pieces needs no gathering.
const PLENTY_BYTES: usize = 64 << 10;

/// The reading side of a replication stream.
pub struct StreamReader {
    reader: ReadHalf,
    frames: FrameBuffer,
    signals: Arc<Signals>,
    silence: Silence,
    silence_limit: Duration,
    /// When a little was read last.
    little: Option<Instant>,
}

impl StreamReader {
    pub(super) fn new(
        reader: ReadHalf,
        frames: FrameBuffer,
        signals: Arc<Signals>,
        silence_limit: Duration,
    ) -> Self {
        Self {
            reader,
            frames,
            signals,
            silence: Silence::new(silence_limit),
            silence_limit,
            little: None,
        }
    }

    /// The next message. Cancellation-safe: a call given up in a `select!` loses nothing.
    ///
    /// A message's payload is a slice of a 256 KiB chunk and keeps that alive: work it off, do not hoard it.
    pub async fn next(&mut self) -> Result<CopyData, WalsenderError> {
        loop {
            if let Some(message) = self.next_received()? {
                return Ok(message);
            }
            self.read().await?;
        }
    }

    /// The next message, if it was read already. Lets a caller finish what is here before it waits.
    pub fn next_received(&mut self) -> Result<Option<CopyData>, WalsenderError> {
        while let Some(frame) = self.frames.next_frame()? {
            if frame.tag() == response::COPY_DATA {
                let message = CopyData::parse(frame.into_body())?;
                self.note(&message);
                return Ok(Some(message));
            }
            Self::other_frame(frame)?;
        }
        Ok(None)
    }

    fn note(&self, message: &CopyData) {
        match message {
            CopyData::XLogData(data) => self.signals.received(data.end),
            CopyData::Keepalive(keepalive) => {
                self.signals.received(keepalive.end);
                if keepalive.reply_requested {
                    self.signals.want_status();
                }
            }
        }
    }

    fn other_frame(frame: Frame) -> Result<(), WalsenderError> {
        match frame.tag() {
            response::NOTICE => {
                tracing::debug!(notice = %server_error(frame.into_body()), "the server notes");
                Ok(())
            }
            response::PARAMETER | response::NOTIFICATION => Ok(()),
            response::ERROR => Err(WalsenderError::refused(
                "to go on with the stream",
                server_error(frame.into_body()),
            )),
            response::COPY_DONE | response::COMMAND_COMPLETE | response::READY => {
                Err(WalsenderError::Ended)
            }
            tag => Err(WalsenderError::Unexpected {
                what: format!("message '{}'", tag.escape_ascii()),
                doing: DOING,
            }),
        }
    }

    /// Reads once, watching for a dead peer.
    async fn read(&mut self) -> Result<(), WalsenderError> {
        if let Some(little) = self.little.take_if(|little| little.elapsed() < GATHER) {
            tokio::time::sleep_until(little + GATHER).await;
        }
        loop {
            let deadline = self.silence.deadline(Instant::now());
            match timeout_at(deadline, self.frames.fill(&mut self.reader)).await {
                Ok(Ok(0)) => return Err(WalsenderError::Closed { doing: DOING }),
                Ok(Ok(read)) => {
                    self.silence.heard();
                    let read = read + self.read_what_is_there().await?;
                    self.little = (read < PLENTY_BYTES).then(Instant::now);
                    return Ok(());
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => match self.silence.expired(Instant::now()) {
                    Verdict::Ask => self.signals.want_sign(),
                    Verdict::Dead => {
                        return Err(WalsenderError::Silent { after: self.silence_limit });
                    }
                },
            }
        }
    }

    /// Reads on without waiting: with TLS each read gives one record, which is one change. Bytes read.
    async fn read_what_is_there(&mut self) -> Result<usize, WalsenderError> {
        let mut total = 0;
        while total < PLENTY_BYTES {
            let read = tokio::select! {
                biased;
                read = self.frames.fill(&mut self.reader) => read?,
                () = std::future::ready(()) => 0,
            };
            if read == 0 {
                break;
            }
            total += read;
        }
        Ok(total)
    }
}
