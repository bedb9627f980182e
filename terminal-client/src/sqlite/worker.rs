use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rusqlite::InterruptHandle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{database::Database, file::SqliteFile, session::Session};
use crate::target::TargetError;

/// Calls on their way to the thread.
const CALLS: usize = 16;
/// Rows and changes on their way to the thread, in KiB: 8 MiB. Larger ones go alone.
const ROOM_KIB: u32 = 8 << 10;

type Call = Box<dyn FnOnce(&mut Working) + Send>;

/// The thread that has the file open. Calls are made in order; rows and changes are sent ahead while
/// it works, and what went wrong with them is the answer to the next call. Dropping it interrupts
/// what runs, which undoes an open transaction, and waits for the end.
pub(super) struct Worker {
    target: String,
    calls: Option<mpsc::Sender<Call>>,
    thread: Option<JoinHandle<()>>,
    interrupt: Option<InterruptHandle>,
    stop: Arc<AtomicBool>,
    /// Set where something sent ahead went wrong.
    broken: Arc<AtomicBool>,
    room: Arc<Semaphore>,
}

/// On the thread.
struct Working {
    target: String,
    session: Session,
    failure: Option<TargetError>,
    broken: Arc<AtomicBool>,
}

impl Worker {
    /// Opens the file on a thread of its own; `target` is what it is called in messages.
    pub(super) async fn start(file: SqliteFile, target: String) -> Result<Self, TargetError> {
        let (calls, queue) = mpsc::channel(CALLS);
        let (opened, is_open) = oneshot::channel();
        let mut worker = Self {
            target: target.clone(),
            calls: Some(calls),
            thread: None,
            interrupt: None,
            stop: Arc::default(),
            broken: Arc::default(),
            room: Arc::new(Semaphore::new(usize::try_from(ROOM_KIB).unwrap_or(1))),
        };
        let (stop, broken) = (worker.stop.clone(), worker.broken.clone());
        let open = move || {
            let database = Database::open(target, &file, stop.clone());
            work(database, opened, queue, &stop, broken);
        };
        let thread = std::thread::Builder::new().name("sqlite".into()).spawn(open);
        worker.thread = Some(thread.map_err(|error| TargetError::Statement {
            target: worker.target.clone(),
            doing: "start a thread".into(),
            why: error.to_string(),
        })?);
        worker.interrupt = Some(is_open.await.map_err(|_| worker.ended())??);
        Ok(worker)
    }

    /// Does something on the thread and waits for its answer.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Session) -> Result<T, TargetError> + Send + 'static,
    ) -> Result<T, TargetError> {
        let (answer, answered) = oneshot::channel();
        self.send(Box::new(move |working| {
            let result = match working.failure.take() {
                Some(failure) => Err(failure),
                // The failure was told; nothing that comes behind it may run, least of all a commit.
                None if working.broken.load(Ordering::Relaxed) => Err(ended(&working.target)),
                None => call(&mut working.session),
            };
            // Nobody waits where the target was dropped.
            let _ = answer.send(result);
        }))
        .await?;
        answered.await.map_err(|_| self.ended())?
    }

    /// As [`Self::call`], also behind a failure, which is over with it.
    pub(super) async fn call_anew<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Session) -> Result<T, TargetError> + Send + 'static,
    ) -> Result<T, TargetError> {
        let (answer, answered) = oneshot::channel();
        self.send(Box::new(move |working| {
            working.failure = None;
            working.broken.store(false, Ordering::Relaxed);
            let _ = answer.send(call(&mut working.session));
        }))
        .await?;
        answered.await.map_err(|_| self.ended())?
    }

    /// Has something of that many bytes done on the thread, and does not wait for it.
    pub(super) async fn send_ahead(
        &self,
        bytes: usize,
        call: impl FnOnce(&mut Session) -> Result<(), TargetError> + Send + 'static,
    ) -> Result<(), TargetError> {
        if self.broken.load(Ordering::Relaxed) {
            return self.call(|_| Ok(())).await;
        }
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(ROOM_KIB).min(ROOM_KIB);
        let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| self.ended())?;
        self.send(Box::new(move |working| {
            // What comes behind a failure is part of a transaction that is lost.
            if !working.broken.load(Ordering::Relaxed)
                && let Err(error) = call(&mut working.session)
            {
                working.failure = Some(error);
                working.broken.store(true, Ordering::Relaxed);
            }
            drop(room);
        }))
        .await
    }

    /// Ends the thread once it has done what was sent.
    pub(super) async fn close(mut self) {
        self.calls = None;
        let thread = self.thread.take();
        let joined = tokio::task::spawn_blocking(move || thread.map(JoinHandle::join));
        if matches!(joined.await, Ok(Some(Err(_))) | Err(_)) {
            tracing::warn!(target = self.target, "the thread of the file did not end as it should");
        }
    }

    async fn send(&self, call: Call) -> Result<(), TargetError> {
        let Some(calls) = &self.calls else { return Err(self.ended()) };
        calls.send(call).await.map_err(|_| self.ended())
    }

    fn ended(&self) -> TargetError {
        ended(&self.target)
    }
}

fn ended(target: &str) -> TargetError {
    TargetError::Statement {
        target: target.to_owned(),
        doing: "go on".into(),
        why: "an earlier change failed, and the target was not opened anew".into(),
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.calls = None;
        if let Some(interrupt) = &self.interrupt {
            interrupt.interrupt();
        }
        if let Some(thread) = self.thread.take() {
            // A panic there has said what it had to say.
            let _ = thread.join();
        }
    }
}

fn work(
    database: Result<Database, TargetError>,
    opened: oneshot::Sender<Result<InterruptHandle, TargetError>>,
    mut queue: mpsc::Receiver<Call>,
    stop: &AtomicBool,
    broken: Arc<AtomicBool>,
) {
    let database = match database {
        Ok(database) => database,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    if opened.send(Ok(database.connection.get_interrupt_handle())).is_err() {
        return;
    }
    let target = database.target.clone();
    let mut working = Working { target, session: Session::new(database), failure: None, broken };
    while let Some(call) = queue.blocking_recv() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        call(&mut working);
    }
}
