//! One source's log: opened, written by one thread, read by many.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use tokio::sync::{oneshot, watch};
use wire::{
    Facts, Lineage, Lsn, SessionAnswer, SessionRequest, Slice, Snapshot, SourceName, Succession,
};

use super::{
    catalog::{Catalog, Changes, SourceRecord},
    engine::{SledRecords, sync_folder},
    engines::Engines,
    error::StoreError,
    evidence::Evidence,
    growth::{Growth, Meter},
    head::{Head, HeadFile},
    objects::Objects,
    orphans::{Occasion, drop_orphans},
    place::{appointed, successor},
    random::random_bytes,
    read::{Lacking, Planned, Pull, ReadError, commit_after, lacking, plan, plan_in_memory},
    recover::recover,
    refusal::Refusal,
    seal::Sealer,
    settings::LogSettings,
    shared::Shared,
    standing::Standing,
    tail::Tail,
    writer::{Append, Job, Succeed, Writer},
};

/// A source's log.
#[derive(Debug)]
pub(crate) struct Log {
    shared: Arc<Shared>,
    jobs: Mutex<Sender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    meter: Mutex<Meter>,
}

impl Log {
    /// Makes the folder of a source that was never begun, with a lineage of its own.
    pub(crate) fn create(folder: &Path, facts: &Facts) -> Result<(), StoreError> {
        fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, error))?;
        HeadFile::create(&folder.join("HEAD"))?;
        let catalog = Catalog::new(Arc::new(SledRecords::open(&folder.join("catalog"))?));
        let mut changes = Changes::new();
        changes.source(&SourceRecord {
            lineage: Lineage::from_bytes(random_bytes()?),
            facts: facts.clone(),
            session: 0,
            session_facts: facts.clone(),
            secret: wire::Hash::from_bytes(random_bytes()?),
            horizon: None,
            succeeds: Vec::new(),
        })?;
        catalog.write(changes)
    }

    /// Opens the log in `folder`; none where it was never begun. Blocks.
    pub(crate) fn open(
        folder: &Path,
        source: &SourceName,
        settings: LogSettings,
    ) -> Result<Option<Self>, StoreError> {
        let appointed = appointed(folder)?;
        if appointed.is_some() {
            // The rename may be on disk only in part: nothing is built on it, nor removed for it, before.
            sync_folder(folder)?;
        }
        let folder = appointed.map_or_else(|| folder.to_owned(), |of| successor(folder, of));
        let evidence = Evidence::take(&folder.join("tail"));
        let opened = match Engines::open(&folder, source, settings.tail_bytes)? {
            Some(engines) => Self::over(engines, source, settings, evidence)?,
            None => None,
        };
        if opened.is_none() && appointed.is_some() {
            let detail = "the file LOG says that the log of the source is there, and it is not: put the source's folder \
                          back from a copy, or move it away and let capture begin the source anew";
            return Err(StoreError::corrupt(folder.display().to_string(), None, detail));
        }
        Ok(opened)
    }

    /// Opens the log that the engines hold; none where it was never begun. Blocks.
    pub(super) fn over(
        engines: Engines,
        source: &SourceName,
        settings: LogSettings,
        evidence: Evidence,
    ) -> Result<Option<Self>, StoreError> {
        let Engines { catalog, tail, objects, head_file, acknowledged } = engines;
        let Some(record) = catalog.source()? else {
            evidence.settle(None);
            return never_begun(source, acknowledged).map(|()| None);
        };
        let Some(mut standing) = recover(source, &catalog, &*tail, acknowledged)? else {
            return Ok(None);
        };
        evidence.settle(standing.damage.as_mut());
        if standing.damage.is_none() {
            sweep(&catalog, &*tail, &*objects, &standing);
        }
        let shared = Shared::new(settings, tail, catalog, objects, standing);
        Self::start(Arc::new(shared), head_file, record).map(Some)
    }

    fn start(
        shared: Arc<Shared>,
        head_file: HeadFile,
        record: SourceRecord,
    ) -> Result<Self, StoreError> {
        let thread = |source| StoreError::io("thread", source);
        let sealer = Sealer::start(shared.clone()).map_err(thread)?;
        if shared.standing.borrow().damage.is_none() {
            sealer.wake();
        }
        let writer = Writer::new(shared.clone(), sealer, head_file, record);
        let (jobs, taken) = channel();
        let thread = thread::Builder::new()
            .name("write".into())
            .spawn(move || writer.run(&taken))
            .map_err(thread)?;
        let (jobs, thread) = (Mutex::new(jobs), Mutex::new(Some(thread)));
        Ok(Self { shared, jobs, thread, meter: Mutex::default() })
    }

    /// How the log stands as far as it is durable.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.shared.standing.borrow().clone()
    }

    /// Tells of each change of the standing.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Standing>> {
        self.shared.standing.subscribe()
    }

    /// Adds a slice, whose checksums were found right; answers the durable head once it is on disk.
    pub(crate) async fn append(&self, session: u64, slice: Slice) -> Result<Lsn, Refusal> {
        self.ask(|reply| Job::Append(Box::new(Append { session, slice, reply }))).await
    }

    /// Opens a session; older ones are fenced from then on.
    pub(crate) async fn open_session(
        &self,
        request: SessionRequest,
    ) -> Result<SessionAnswer, Refusal> {
        self.ask(|reply| Job::Session { request: Box::new(request), reply }).await
    }

    /// Makes a log in the source's `folder` that succeeds this one, to which nothing is added from then
    /// on. Blocks.
    pub(crate) fn succeed(
        &self,
        folder: &Path,
        succession: &Succession,
        facts: &Facts,
    ) -> Result<Lineage, Refusal> {
        let (folder, succession, facts) = (folder.to_owned(), succession.clone(), facts.clone());
        let request = Box::new(Succeed { folder, succession, facts });
        let (reply, answer) = oneshot::channel();
        self.send(Job::Succeed { request, reply })?;
        answer.blocking_recv().map_err(|_| stopped())?
    }

    /// Adds a snapshot whose objects are here; the first begins the log.
    pub(crate) async fn add_snapshot(
        &self,
        session: u64,
        snapshot: Snapshot,
    ) -> Result<(), Refusal> {
        self.ask(|reply| Job::Snapshot { session, snapshot: Box::new(snapshot), reply }).await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Job,
    ) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(job(reply))?;
        answer.await.map_err(|_| stopped())?
    }

    fn send(&self, job: Job) -> Result<(), Refusal> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.send(job).map_err(|_| stopped())
    }

    /// Plans the answer to a pull. Blocks for reads of headers.
    pub(crate) fn plan(&self, pull: &Pull) -> Result<Planned, ReadError> {
        plan(&self.shared, pull)
    }

    /// Plans the answer to a pull as far as no disk is needed; none where it is.
    pub(crate) fn plan_in_memory(&self, pull: &Pull) -> Result<Option<Planned>, ReadError> {
        plan_in_memory(&self.shared, pull)
    }

    /// What lies behind the position of a pull, which is checked as that is. Blocks for reads of headers.
    pub(crate) fn lacking(&self, pull: &Pull) -> Result<Lacking, ReadError> {
        lacking(&self.shared, pull)
    }

    /// When the oldest commit behind `position` was made (µs since 1970); none where there is none.
    /// Blocks.
    pub(crate) fn commit_after(&self, position: Lsn) -> Result<Option<i64>, StoreError> {
        commit_after(&self.shared, position)
    }

    /// The positions of the snapshots that terminals may take, oldest first. Blocks.
    pub(crate) fn snapshot_positions(&self) -> Result<Vec<Lsn>, StoreError> {
        let standing = self.standing();
        let mut positions = self.shared.catalog.snapshot_positions()?;
        positions.retain(|lsn| standing.horizon <= Some(*lsn) && Some(*lsn) <= standing.head);
        Ok(positions)
    }

    /// The position of the newest snapshot that terminals may take. Blocks.
    pub(crate) fn newest_snapshot(&self) -> Result<Option<Lsn>, StoreError> {
        Ok(self.snapshot_positions()?.pop())
    }

    /// What the newest snapshot and the log behind it amount to; none where that cannot be said. Blocks.
    pub(crate) fn growth(&self) -> Result<Option<Growth>, StoreError> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner).read(&self.shared)
    }

    /// Somebody fetches an object of the snapshot at `lsn`: it stays for a while.
    pub(crate) fn snapshot_fetched(&self, lsn: Lsn) {
        self.shared.fetched.note(lsn, Instant::now());
    }

    /// The catalogue.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.shared.catalog
    }

    /// The objects.
    pub(crate) fn objects(&self) -> &Arc<dyn Objects> {
        &self.shared.objects
    }

    /// Bytes on disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let shared = &self.shared;
        shared.tail.disk_bytes() + shared.catalog.disk_bytes() + shared.objects.disk_bytes()
    }

    /// Why sealing does not get on, if it does not.
    pub(crate) fn seal_error(&self) -> Option<Arc<StoreError>> {
        self.shared.seal_error().clone()
    }

    /// Finishes what was asked, then stops. Blocks.
    pub(crate) fn close(&self) {
        let _ = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(Job::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

fn stopped() -> Refusal {
    Refusal::Unavailable("the relay is stopping".into())
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

/// A source without a record was never begun; unless something was acknowledged, and then the
/// catalogue has lost it.
fn never_begun(source: &SourceName, acknowledged: Head) -> Result<(), StoreError> {
    if acknowledged.lsn == Lsn::ZERO {
        return Ok(());
    }
    let detail = format!(
        "it knows nothing of the source, though up to {} was acknowledged: the catalogue has lost its content. \
         Put the source's folder back from a copy, or move it away and let capture begin the source anew",
        acknowledged.lsn
    );
    Err(StoreError::corrupt(format!("catalog of source '{source}'"), None, detail))
}

fn sweep(catalog: &Catalog, tail: &dyn Tail, objects: &dyn Objects, standing: &Standing) {
    match drop_orphans(catalog, tail, objects, standing, Occasion::Opening) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "dropped objects that nothing refers to"),
        Err(error) => tracing::warn!(%error, "objects that nothing refers to cannot be dropped"),
    }
}
