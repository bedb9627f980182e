//! Group commit: all that has come is added, then synced once, then answered.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use wire::{Lsn, Slice};

use super::{
    job::{Append, Job, Reply},
    turns::Turns,
};
use crate::log::{
    catalog::SourceRecord,
    error::StoreError,
    head::{Head, HeadFile, digest},
    recover::recover,
    refusal::Refusal,
    seal::SealerHandle,
    shared::Shared,
    standing::Standing,
};

/// Jobs that share one sync.
const GROUP_JOBS: usize = 64;
/// Bytes that share one sync.
const GROUP_BYTES: usize = 16 << 20;

/// After a failure, the store is opened anew at most this often.
const MEND_PAUSE: Duration = Duration::from_millis(500);

/// The state of the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) sealer: SealerHandle,
    pub(super) head_file: HeadFile,
    pub(super) record: SourceRecord,
    /// How the log stands with what was added but is not durable yet.
    pub(super) standing: Standing,
    pub(super) turns: Turns,
    /// The store failed, and when: what it holds must be found out before anything is added.
    pub(super) broken: Option<(Instant, Refusal)>,
}

/// What was added.
#[derive(Debug)]
pub(super) enum Added {
    /// A slice, and the end of the progress slice that it replaced.
    Slice(Arc<Slice>, Option<Lsn>),
    /// A closed range: nothing for the ring.
    Range,
}

/// What was added and waits for the sync.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) slices: Vec<Added>,
    pub(super) replies: Vec<Reply<Lsn>>,
    bytes: usize,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        sealer: SealerHandle,
        head_file: HeadFile,
        record: SourceRecord,
    ) -> Self {
        let standing = Standing::clone(&shared.standing.borrow());
        let turns = Turns::default();
        Self { shared, sealer, head_file, record, standing, turns, broken: None }
    }

    /// Works until it is told to stop, or nobody can ask any more.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        let mut stopping = false;
        while !stopping {
            let Some(first) = self.next_job(jobs) else { break };
            let mut group = Group::default();
            let mut next = first;
            for _ in 0..GROUP_JOBS {
                match next {
                    Some(Job::Stop) => {
                        stopping = true;
                        break;
                    }
                    Some(job) => self.take(job, &mut group),
                    None => break,
                }
                if group.bytes > GROUP_BYTES {
                    break;
                }
                next = jobs.try_recv().ok();
            }
            self.commit(group);
            self.turns.expire(Instant::now(), self.standing.head);
        }
        for append in self.turns.take() {
            let _ = append.reply.send(Err(Refusal::Unavailable("the relay is stopping".into())));
        }
        self.sealer.stop();
    }

    /// Waits for a job, or until the next waiting append's time is over (`Some(None)`).
    fn next_job(&self, jobs: &Receiver<Job>) -> Option<Option<Job>> {
        let Some(deadline) = self.turns.next_deadline() else { return jobs.recv().ok().map(Some) };
        let wait = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        match jobs.recv_timeout(wait) {
            Ok(job) => Some(Some(job)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn take(&mut self, job: Job, group: &mut Group) {
        if let Err(refusal) = self.living().and_then(|()| self.mend()) {
            job.refuse(refusal);
            return;
        }
        match job {
            Job::Append(append) => {
                self.append(*append, group);
                while let Some(next) = self.standing.head.and_then(|head| self.turns.ready(head)) {
                    self.append(next, group);
                }
            }
            Job::Session { request, reply } => {
                self.commit(std::mem::take(group));
                let answer = self.unbroken().and_then(|()| self.open_session(&request));
                let _ = reply.send(answer);
            }
            Job::Succeed { request, reply } => {
                self.commit(std::mem::take(group));
                let answer = self.unbroken().and_then(|()| self.succeed(*request));
                let _ = reply.send(answer);
            }
            Job::Snapshot { session, snapshot, reply } => {
                self.commit(std::mem::take(group));
                let answer = self.unbroken().and_then(|()| self.add_snapshot(session, &snapshot));
                let _ = reply.send(answer);
            }
            Job::Stop => {}
        }
    }

    fn append(&mut self, append: Append, group: &mut Group) {
        if let Err(refusal) = self.unbroken() {
            let _ = append.reply.send(Err(refusal));
            return;
        }
        group.bytes += append.slice.bytes().len();
        self.apply(append, group);
    }

    /// Syncs and answers.
    fn commit(&mut self, group: Group) {
        let result = if group.slices.is_empty() { self.unbroken() } else { self.make_durable() };
        match result {
            Ok(()) => {
                self.publish(group.slices);
                let head = self.standing.head.unwrap_or_default();
                for reply in group.replies {
                    let _ = reply.send(Ok(head));
                }
                self.sealer.wake();
            }
            Err(refusal) => {
                for reply in group.replies {
                    let _ = reply.send(Err(refusal.clone()));
                }
            }
        }
    }

    fn make_durable(&mut self) -> Result<(), Refusal> {
        self.unbroken()?;
        let synced = self.shared.tail.sync();
        synced.and_then(|()| self.write_head()).map_err(|error| self.fail(error))
    }

    pub(super) fn write_head(&mut self) -> Result<(), StoreError> {
        let Some(lsn) = self.standing.head else { return Ok(()) };
        self.head_file.write(Head { lsn, hash: digest(&self.standing.hashes) })
    }

    /// Lets readers see what is durable now.
    pub(super) fn publish(&self, slices: Vec<Added>) {
        {
            let mut ring = self.shared.ring_mut();
            for added in slices {
                match added {
                    Added::Slice(slice, replaces) => ring.push(slice, replaces),
                    Added::Range => ring.clear(),
                }
            }
        }
        self.shared.standing.send_replace(Arc::new(self.standing.clone()));
    }

    pub(super) fn fail(&mut self, error: StoreError) -> Refusal {
        tracing::error!(source = %self.standing.source, %error, "the log cannot be written");
        let refusal = Refusal::from(error);
        self.broken = Some((Instant::now(), refusal.clone()));
        refusal
    }

    /// Refuses where the store has failed: how the log stands here is then not how it is on disk.
    fn unbroken(&self) -> Result<(), Refusal> {
        self.broken.as_ref().map_or(Ok(()), |(_, refusal)| Err(refusal.clone()))
    }

    /// After a failure: opens the store anew and finds out what it holds.
    fn mend(&mut self) -> Result<(), Refusal> {
        match &self.broken {
            None => return Ok(()),
            Some((since, refusal)) if since.elapsed() < MEND_PAUSE => return Err(refusal.clone()),
            Some(_) => {}
        }
        self.broken = None;
        self.find_out().map_err(|error| self.fail(error))?;
        let head = self.standing.head;
        tracing::info!(source = %self.standing.source, ?head, "the log can be written again");
        self.publish(Vec::new());
        Ok(())
    }

    fn find_out(&mut self) -> Result<(), StoreError> {
        let shared = &self.shared;
        shared.tail.reopen()?;
        shared.catalog.reopen()?;
        let durable = shared.standing.borrow().clone();
        let acknowledged =
            Head { lsn: durable.head.unwrap_or_default(), hash: digest(&durable.hashes) };
        let source = &self.standing.source;
        let found = recover(source, &shared.catalog, &*shared.tail, acknowledged)?;
        let gone = || StoreError::corrupt("catalogue", None, "the source's record is gone");
        self.standing = found.ok_or_else(gone)?;
        self.record = shared.catalog.source()?.ok_or_else(gone)?;
        shared.ring_mut().clear();
        if self.standing.damage.is_none() {
            shared.tail.sync()?;
            self.write_head()?;
        }
        Ok(())
    }
}

impl Job {
    fn refuse(self, why: Refusal) {
        match self {
            Self::Append(append) => drop(append.reply.send(Err(why))),
            Self::Session { reply, .. } => drop(reply.send(Err(why))),
            Self::Succeed { reply, .. } => drop(reply.send(Err(why))),
            Self::Snapshot { reply, .. } => drop(reply.send(Err(why))),
            Self::Stop => {}
        }
    }
}
