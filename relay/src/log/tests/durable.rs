//! Invariant 1 at the relay: nothing is answered, shown to readers or noted in HEAD before it is on
//! disk.

use std::task::{Context, Waker};

use tempfile::TempDir;

use super::{
    faults::{Faults, Step},
    faulty::open_faulty,
    fixture::{BEGIN, Got, begun, get, pull, request, resumed, small, snapshot},
};
use crate::{
    feed::Feed,
    log::{Channels, Log, head::HeadFile},
};

struct Bench {
    folder: TempDir,
    faults: Faults,
    log: Log,
    session: u64,
    feed: Feed,
}

/// A log that has begun, whose writer waits before its next append.
async fn held() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    drop(begun(folder.path(), small()).await);
    let faults = Faults::none();
    let log = open_faulty(folder.path(), small(), &faults);
    let (session, feed) = resumed(&log).await;
    faults.hold(Some(Step::Append));
    Bench { folder, faults, log, session, feed }
}

/// Hands a job to the writer, which does not get to it yet.
macro_rules! asked {
    ($job:expr) => {{
        let mut job = Box::pin($job);
        assert!(job.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        job
    }};
}

impl Bench {
    /// Lets the writer take all that was asked; the one sync for it fails.
    fn go_on_without_a_sync(&self) {
        self.faults.fail_one_sync();
        self.faults.hold(None);
    }

    /// Not even once the writer has done all that it had to do.
    fn nothing_counts(&self) {
        self.log.close();
        assert_eq!(self.log.standing().head, Some(BEGIN));
        let (_, noted) = HeadFile::open(&self.folder.path().join("HEAD")).unwrap();
        assert_eq!(noted.lsn, BEGIN);
    }
}

#[tokio::test]
async fn an_append_and_its_repeat_wait_for_the_sync() {
    let mut bench = held().await;
    let slice = bench.feed.one(&[("a", b"1")]);
    let first = asked!(bench.log.append(bench.session, slice.clone()));
    let again = asked!(bench.log.append(bench.session, slice));
    bench.go_on_without_a_sync();
    assert!(first.await.is_err());
    assert!(again.await.is_err());
    bench.nothing_counts();
}

/// What capture is told at its start, it takes for durable.
#[tokio::test]
async fn a_session_is_not_told_of_what_was_not_synced() {
    let mut bench = held().await;
    let slice = bench.feed.one(&[("a", b"1")]);
    let append = asked!(bench.log.append(bench.session, slice));
    let session = asked!(bench.log.open_session(request(false)));
    bench.go_on_without_a_sync();
    assert!(append.await.is_err());
    let answer = session.await;
    assert!(answer.is_err(), "{answer:?}");
    bench.nothing_counts();
}

#[tokio::test]
async fn a_snapshot_is_not_taken_behind_what_was_not_synced() {
    let mut bench = held().await;
    let slice = bench.feed.one(&[("a", b"1")]);
    let at = slice.header().through;
    let append = asked!(bench.log.append(bench.session, slice));
    let snapshot = snapshot(bench.feed.lineage, at);
    let added = asked!(bench.log.add_snapshot(bench.session, snapshot));
    bench.go_on_without_a_sync();
    assert!(append.await.is_err());
    assert!(added.await.is_err());
    bench.nothing_counts();
}

/// Progress that takes the place of progress is in the tail before it is on disk.
#[tokio::test]
async fn readers_see_nothing_that_was_not_synced() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    let head = log.append(session, feed.progress()).await.unwrap();
    drop(log);
    let faults = Faults::none();
    let log = open_faulty(folder.path(), small(), &faults);
    let (session, mut feed) = resumed(&log).await;
    faults.hold(Some(Step::Sync));
    let mut append = asked!(log.append(session, feed.progress()));
    while !faults.waits() {
        let mut context = Context::from_waker(Waker::noop());
        assert!(append.as_mut().poll(&mut context).is_pending(), "it did not sync");
    }
    let seen = get(&log, &pull(BEGIN, 1 << 20, Channels::All));
    faults.hold(None);
    let Ok(Got::Slices(slices)) = seen else { panic!("{seen:?}") };
    assert_eq!(slices.last().unwrap().header().through, head);
    assert!(append.await.unwrap() > head);
}

/// The writer had counted it in already: only what is found on disk may be answered for.
#[tokio::test]
async fn after_a_failed_sync_it_is_found_out_what_is_there() {
    let mut bench = held().await;
    let slice = bench.feed.one(&[("a", b"1")]);
    bench.go_on_without_a_sync();
    assert!(bench.log.append(bench.session, slice.clone()).await.is_err());
    let durable = loop {
        match bench.log.append(bench.session, slice.clone()).await {
            Ok(durable) => break durable,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    let (_, noted) = HeadFile::open(&bench.folder.path().join("HEAD")).unwrap();
    assert_eq!((durable, noted.lsn), (slice.header().through, durable));
}
