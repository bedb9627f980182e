use std::time::Duration;

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{ask::Ask, error::SnapshotError, job::SnapshotJob, take::take, wanted::wanted};
use crate::{append::Patience, assemble::Assembler, explain};

/// Between a snapshot that failed and the next attempt: from, and up to.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));
/// How long the end waits until what was begun on the master is undone.
const END_WITHIN: Duration = Duration::from_secs(5);

/// The task, and what it asks of the stream. It ends with this, and a snapshot under way with it.
#[derive(Debug)]
pub(in crate::run) struct Snapshots {
    asks: mpsc::Receiver<Ask>,
    open: Option<Ask>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Snapshots {
    pub(in crate::run) fn start(job: SnapshotJob) -> Self {
        let (to_stream, asks) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(job, to_stream, stop.clone()));
        Self { asks, open: None, task, stop }
    }

    /// Hands the task's question to the assembler, and its answer back. To be called now and then.
    pub(in crate::run) fn look(&mut self, assembler: &mut Assembler) {
        if self.open.as_ref().is_some_and(Ask::is_given_up) {
            self.open = None;
            assembler.forget_marks();
        }
        if self.open.is_none()
            && let Ok(mut ask) = self.asks.try_recv()
        {
            assembler.note_marks();
            ask.noting();
            self.open = Some(ask);
        }
        let Some(ask) = &mut self.open else { return };
        if let Some(lsn) = ask.lsn() {
            assembler.seek(lsn);
        }
        if let Some(found) = assembler.sought()
            && let Some(ask) = self.open.take()
        {
            ask.answer(found);
        }
    }

    /// Gives up what is under way.
    pub(in crate::run) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits a little until nothing of it is left on the master.
    pub(in crate::run) async fn stopped(&mut self) {
        self.stop();
        let _ = timeout(END_WITHIN, &mut self.task).await;
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn run(mut job: SnapshotJob, asks: mpsc::Sender<Ask>, stop: CancellationToken) {
    let mut patience = Patience::new(AGAIN.0, AGAIN.1);
    loop {
        tokio::select! {
            () = wanted(&job) => {}
            () = stop.cancelled() => return,
        }
        match take(&job, &asks, &stop).await {
            Ok(mark) => {
                job.newest = Some(mark);
                patience.reset();
            }
            Err(SnapshotError::Ended) => return,
            Err(error) => {
                let pause = patience.pause();
                tracing::warn!(
                    "the snapshot was given up: {}; trying again in {} s",
                    explain::chain(&error),
                    pause.as_secs()
                );
                tokio::select! {
                    () = sleep(pause) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}
