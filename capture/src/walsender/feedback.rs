use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::{
    io::AsyncWriteExt,
    sync::{Notify, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use wire::Lsn;

use super::{
    socket::WriteHalf,
    status::{Positions, put_status},
};

/// How long [`Feedback::close`] waits for the last status to leave.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the reader tells the writer.
#[derive(Debug, Default)]
pub(super) struct Signals {
    received: AtomicU64,
    /// The server wants a status.
    status_wanted: Notify,
    /// We want a sign from the server.
    sign_wanted: Notify,
}

impl Signals {
    pub(super) fn received(&self, position: Lsn) {
        self.received.fetch_max(position.get(), Relaxed);
    }

    pub(super) fn want_status(&self) {
        self.status_wanted.notify_one();
    }

    pub(super) fn want_sign(&self) {
        self.sign_wanted.notify_one();
    }
}

/// Tells the server, from a task of its own, how far we are: every second, whenever it asks, and at the
/// end. Dropping it breaks the connection off.
#[derive(Debug)]
pub struct Feedback {
    report: watch::Sender<Report>,
    task: JoinHandle<io::Result<()>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Report {
    flushed: Lsn,
    applied: Lsn,
    closing: bool,
}

impl Feedback {
    pub(super) fn spawn(writer: WriteHalf, signals: Arc<Signals>, every: Duration) -> Self {
        let (report, reports) = watch::channel(Report::default());
        let sender = Sender { writer, signals, reports, out: BytesMut::new() };
        Self { report, task: tokio::spawn(sender.run(every)) }
    }

    /// All up to `flushed` is durable; the slot lets go of it with the next status. Positions never go back.
    pub fn report(&self, flushed: Lsn, applied: Lsn) {
        self.report.send_modify(|report| {
            report.flushed = report.flushed.max(flushed);
            report.applied = report.applied.max(applied);
        });
    }

    /// Sends the last status, ends the stream in order and closes the connection.
    pub async fn close(mut self) -> io::Result<()> {
        self.report.send_modify(|report| report.closing = true);
        match timeout(CLOSE_TIMEOUT, &mut self.task).await {
            Ok(Ok(result)) => result,
            Ok(Err(failure)) => Err(io::Error::other(failure)),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Drop for Feedback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Sender {
    writer: WriteHalf,
    signals: Arc<Signals>,
    reports: watch::Receiver<Report>,
    out: BytesMut,
}

impl Sender {
    async fn run(mut self, every: Duration) -> io::Result<()> {
        let signals = Arc::clone(&self.signals);
        let mut reports = self.reports.clone();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.put(false),
                () = signals.status_wanted.notified() => self.put_answer(),
                () = signals.sign_wanted.notified() => self.put(true),
                closing = async { reports.wait_for(|report| report.closing).await.is_ok() } => {
                    if !closing {
                        return Ok(());
                    }
                    break;
                }
            }
            self.send().await?;
        }
        self.put(false);
        frontend::copy_done(&mut self.out);
        frontend::terminate(&mut self.out);
        self.send().await?;
        self.writer.shutdown().await
    }

    fn positions(&self) -> Positions {
        let report = *self.reports.borrow();
        let written = Lsn::new(self.signals.received.load(Relaxed)).max(report.flushed);
        Positions { written, flushed: report.flushed, applied: report.applied }
    }

    fn put(&mut self, reply_requested: bool) {
        put_status(self.positions(), now_unix_us(), reply_requested, &mut self.out);
    }

    /// A server that shuts down asks until we are where it is, and waits for as long as that takes
    /// (`WalSndDone`). It looks at what we have flushed, and that stays behind on purpose. Where a status
    /// has no flushed position it looks at what we have received; the slot then stays as it is.
    fn put_answer(&mut self) {
        self.put(false);
        let positions = Positions { flushed: Lsn::ZERO, ..self.positions() };
        put_status(positions, now_unix_us(), false, &mut self.out);
    }

    async fn send(&mut self) -> io::Result<()> {
        self.writer.write_all(&self.out).await?;
        self.out.clear();
        self.writer.flush().await
    }
}

fn now_unix_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .unwrap_or_default()
}
