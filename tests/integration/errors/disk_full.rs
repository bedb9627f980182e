//! A relay's disk that is full (PITFALLS 40).

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};
use harness::{Cluster, RelayProcess, Scratch, eventually, test};

use crate::{
    history,
    setup::{LIMIT, Options, SOURCE, Setup},
};

/// A small file system in memory. Needs root and the right to mount.
struct SmallDisk {
    path: PathBuf,
    _folder: Scratch,
}

impl SmallDisk {
    fn mount(mib: u32) -> Result<Option<Self>> {
        let folder = Scratch::new("disk")?;
        let path = folder.path().join("small");
        std::fs::create_dir(&path)?;
        let size = format!("size={mib}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        match mounted {
            Ok(done) if done.status.success() => Ok(Some(Self { path, _folder: folder })),
            Ok(done) => {
                println!(
                    "skipped, no file system can be mounted here: {}",
                    String::from_utf8_lossy(&done.stderr)
                );
                Ok(None)
            }
            Err(error) => {
                println!("skipped, there is no mount command: {error}");
                Ok(None)
            }
        }
    }

    fn grow(&self, mib: u32) -> Result<()> {
        let size = format!("remount,size={mib}m");
        let done = Command::new("mount").args(["-o", &size]).arg(&self.path).status()?;
        done.success().then_some(()).context("it does not grow")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still uses it is killed with the test; lazily, so that the order does not matter.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[test]
fn a_full_disk_refuses_appends_serves_reads_and_recovers() {
    test(async {
        let Some(disk) = SmallDisk::mount(48)? else { return Ok(()) };
        let master = Cluster::shared().await?.database().await?;
        master.execute("CREATE TABLE t (id int PRIMARY KEY, f text)").await?;
        let relay = RelayProcess::builder().data_dir(disk.path.join("data")).start().await?;
        let mut setup = Setup::with(master, relay, Options::default()).await?;
        setup.master.execute("INSERT INTO t VALUES (0, 'first')").await?;
        setup.captured().await?;
        let mut rows = 0;
        // Nothing that compresses well.
        let filler =
            "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 30 + n % 2))";
        eventually("the relay's disk is full", LIMIT, async || {
            let insert = format!(
                "INSERT INTO t SELECT {rows} + n, {filler} FROM generate_series(1, 4000) n"
            );
            if rows < 60_000 {
                setup.master.execute(&insert).await?;
                rows += 4000;
            } else {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let error = setup.relay.lag(SOURCE).await?.capture.error.unwrap_or_default();
            Ok(error.contains("disk") || error.contains("No space"))
        })
        .await?;
        let error = setup.relay.lag(SOURCE).await?.capture.error.unwrap_or_default();
        println!("it says: {error}");
        assert!(error.contains(&setup.relay.url()) && error.contains("room"), "{error}");
        let head = setup.relay.head(SOURCE).await?;
        let before = setup.position().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(setup.relay.head(SOURCE).await? < before, "it was not full after all");
        assert!(setup.confirmed().await? <= setup.relay.head(SOURCE).await?);
        assert!(setup.capture.is_running()? && setup.relay.is_running()?);
        // What is there is served.
        let there = history::read(&setup.relay, None).await?;
        assert!(history::inserted(&there, "t").contains(&"0".to_owned()));
        assert!(there.iter().all(|run| run.end <= head.max(before)));

        disk.grow(600)?;
        setup.captured().await?;
        let count = history::inserted(&history::read(&setup.relay, None).await?, "t").len();
        assert_eq!(count, rows + 1);
        setup.relay.kill_and_restart().await?;
        setup.master.execute("INSERT INTO t VALUES (-1, 'last')").await?;
        setup.captured().await?;
        let terminal = setup.postgres("store").await?;
        setup.all_equal(&[&terminal]).await
    });
}
