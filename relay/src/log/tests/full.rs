//! PITFALLS 40 on a file system that is really full. Needs the right to mount one; without it, the
//! same is shown with engines that fail (crash.rs).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use wire::{Lsn, SourceName};

use super::{
    fixture::{BEGIN, begun, open, resumed, small},
    reader::Reader,
    sealing::{fill, noise},
};
use crate::{
    fleet::{Clock, FleetLimits},
    log::{Channels, LogSettings, Refusal, StoreError},
    sources::Sources,
};

/// A small file system in memory.
struct Disk {
    at: tempfile::TempDir,
}

impl Disk {
    fn mount(mib: u32) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self { at })
    }

    fn path(&self) -> &Path {
        self.at.path()
    }

    /// Takes all room that is left.
    fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut size = 64 << 20;
        let mut content = Vec::new();
        while size > 512 {
            content.resize(content.len() + size, 1);
            if fs::write(&ballast, &content).is_err() {
                content.truncate(content.len() - size);
                size /= 2;
            }
        }
        let _ = fs::write(&ballast, &content);
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.at.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_really_full() {
    let Some(disk) = Disk::mount(96) else {
        eprintln!("skipped: no right to mount a file system");
        return;
    };
    let folder = disk.path().join("orders");
    let settings = LogSettings { room_wait: Duration::from_millis(200), ..small() };
    let (log, session, mut feed) = begun(&folder, settings.clone()).await;
    fill(&log, session, &mut feed, 10).await;
    let ballast = disk.fill();
    let mut acknowledged = Lsn::new(feed.at);
    let refused = loop {
        let before = feed.at;
        let slice = feed.one(&[("a", &noise(before, 4000))]);
        match log.append(session, slice.clone()).await {
            Ok(durable) => acknowledged = durable,
            Err(refused) => break (refused, slice),
        }
        assert!(feed.at < 2_000_000, "the disk is never full");
    };
    let (refusal, slice) = refused;
    let full = matches!(&refusal, Refusal::Store(e) if matches!(**e, StoreError::Full { .. }));
    assert!(full, "{refusal}");
    // Reads go on, all of what was acknowledged.
    let mut reader = Reader::new(feed.lineage, BEGIN, Channels::All);
    reader.catch_up(&log, 1 << 20).unwrap();
    assert_eq!(reader.at, acknowledged);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(log.append(session, slice.clone()).await.is_err(), "there is no room yet");
    reader.catch_up(&log, 1 << 20).unwrap();
    // There is room again: it recovers by itself.
    fs::remove_file(&ballast).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(refusal) = log.append(session, slice.clone()).await {
        assert!(Instant::now() < deadline, "{refusal}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    fill(&log, session, &mut feed, 60).await;
    reader.catch_up(&log, 1 << 20).unwrap();
    assert_eq!(reader.hashes, log.standing().hashes);
    let hashes = log.standing().hashes.clone();
    drop(log);
    starts_once_there_is_room(&disk, settings).await;
    let log = open(&folder, small());
    assert_eq!((log.standing().damage.clone(), &log.standing().hashes), (None, &hashes));
}

/// The engine cannot be opened without room; the source is opened as soon as there is some.
async fn starts_once_there_is_room(disk: &Disk, settings: LogSettings) {
    let name = SourceName::new("orders").unwrap();
    let ballast = disk.fill();
    let clock = Clock::start();
    let sources = Sources::open(disk.path(), settings, FleetLimits::default(), clock).unwrap();
    let refused = sources.get(&name).unwrap().unwrap_err();
    assert!(matches!(*refused, StoreError::Full { .. }), "{refused}");
    sources.retry();
    assert!(sources.get(&name).unwrap().is_err());
    fs::remove_file(&ballast).unwrap();
    sources.retry();
    let source = sources.get(&name).unwrap().unwrap();
    let (session, mut feed) = resumed(&source.log).await;
    assert!(session > 1);
    let slice = feed.progress();
    source.log.append(session, slice).await.unwrap();
    sources.close();
}
