//! Stopping at every single operation: of appending, of sealing, of beginning a log.

use std::time::{Duration, Instant};

use wire::Lsn;

use super::{
    faults::Faults,
    faulty::open_faulty,
    fixture::{BEGIN, begun, facts, open, put, request, resumed, small, snapshot},
    reader::Reader,
    sealing::{fill, noise},
};
use crate::{
    feed::Feed,
    log::{Channels, Log, LogSettings, Refusal, StoreError},
};

fn settings() -> LogSettings {
    LogSettings { room_wait: Duration::from_millis(200), ..small() }
}

/// Everything acknowledged is there, and what is there is a history without a gap.
fn check(log: &Log, lineage: wire::Lineage, acknowledged: Lsn) -> Reader {
    let standing = log.standing();
    assert_eq!(standing.damage, None);
    assert!(standing.head >= Some(acknowledged), "{:?} < {acknowledged}", standing.head);
    let mut reader = Reader::new(lineage, BEGIN, Channels::All);
    reader.catch_up(log, 1 << 20).unwrap();
    assert_eq!((Some(reader.at), &reader.hashes), (standing.head, &standing.hashes));
    reader
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_at_every_step_of_appending_and_sealing() {
    let mut steps = 0;
    for count in (0..).step_by(3) {
        let folder = tempfile::tempdir().unwrap();
        let (log, _, feed) = begun(folder.path(), settings()).await;
        let lineage = feed.lineage;
        drop(log);
        let faults = Faults::none();
        let log = open_faulty(folder.path(), settings(), &faults);
        let (session, mut feed) = resumed(&log).await;
        faults.after(count);
        let mut acknowledged = BEGIN;
        for n in 0..60 {
            let row = noise(n, 1500);
            let slice = feed.one(&[(if n % 2 == 0 { "a" } else { "b" }, &row)]);
            match log.append(session, slice).await {
                Ok(durable) => acknowledged = durable,
                Err(_) => break,
            }
        }
        if !faults.struck() {
            // The sealer may be under way yet.
            std::thread::sleep(Duration::from_millis(100));
        }
        let struck = faults.struck();
        drop(log);
        let log = open(folder.path(), settings());
        check(&log, lineage, acknowledged);
        // And it goes on, through more sealing.
        let (session, mut feed) = resumed(&log).await;
        fill(&log, session, &mut feed, 60).await;
        check(&log, lineage, Lsn::new(feed.at));
        steps = count;
        if !struck {
            break;
        }
    }
    assert!(steps > 100, "only {steps} steps were met");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_at_every_step_of_a_huge_transaction() {
    for count in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let (log, session, mut feed) = begun(folder.path(), settings()).await;
        let (slice, objects) = feed.huge("a", &noise(1, 3000), session);
        for (name, bytes) in &objects {
            put(&**log.objects(), *name, bytes);
        }
        drop(log);
        let faults = Faults::none();
        let log = open_faulty(folder.path(), settings(), &faults);
        faults.after(count);
        let acknowledged = log.append(session, slice).await.unwrap_or(BEGIN);
        let struck = faults.struck();
        drop(log);
        let log = open(folder.path(), settings());
        check(&log, feed.lineage, acknowledged);
        if !struck {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_at_every_step_of_beginning() {
    for count in 0.. {
        let folder = tempfile::tempdir().unwrap();
        Log::create(folder.path(), &facts()).unwrap();
        let faults = Faults::none();
        let log = open_faulty(folder.path(), settings(), &faults);
        faults.after(count);
        let begun = async {
            let answer = log.open_session(request(true)).await?;
            let lineage = answer.lineage.unwrap();
            log.add_snapshot(answer.session, snapshot(lineage, BEGIN)).await?;
            Ok::<_, Refusal>((answer.session, lineage))
        };
        let begun = begun.await;
        let struck = faults.struck();
        drop(log);
        let log = open(folder.path(), settings());
        assert_eq!(log.standing().damage, None);
        if let Ok((session, lineage)) = begun {
            assert_eq!(log.standing().head, Some(BEGIN));
            let mut feed = Feed::new(lineage, BEGIN, Default::default());
            log.append(session, feed.one(&[("a", b"1")])).await.unwrap();
        }
        if !struck {
            break;
        }
    }
}

/// PITFALLS 40: refused with a clear problem, reads go on, it recovers by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_appends_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _, feed) = begun(folder.path(), settings()).await;
    let lineage = feed.lineage;
    drop(log);
    let faults = Faults::none();
    let log = open_faulty(folder.path(), settings(), &faults);
    let (session, mut feed) = resumed(&log).await;
    fill(&log, session, &mut feed, 5).await;
    let acknowledged = Lsn::new(feed.at);
    faults.after(0);
    let slice = feed.one(&[("a", b"1")]);
    for _ in 0..3 {
        let refused = log.append(session, slice.clone()).await.unwrap_err();
        let full = matches!(&refused, Refusal::Store(e) if matches!(**e, StoreError::Full { .. }));
        assert!(full, "{refused}");
        assert!(refused.to_string().contains("free some space"), "{refused}");
        check(&log, lineage, acknowledged);
    }
    faults.after(i64::MAX);
    let deadline = Instant::now() + Duration::from_secs(10);
    while log.append(session, slice.clone()).await.is_err() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    check(&log, lineage, Lsn::new(feed.at));
    fill(&log, session, &mut feed, 60).await;
    check(&log, lineage, Lsn::new(feed.at));
}
