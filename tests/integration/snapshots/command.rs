//! `tailwater-capture snapshot`, where nothing comes of it.

use anyhow::Result;
use harness::{Cluster, RelayProcess, eventually, free_port, test};

use super::command;
use crate::{
    ending::says,
    setup::{LIMIT, Options, SOURCE, Setup},
};

#[test]
fn what_cannot_be_asked_for_is_explained() {
    test(async {
        let relay = RelayProcess::builder().start().await?;
        let ask = async |url: &str, name: &str, args: &[&str]| -> Result<_> {
            command(url, name, args)?.run(LIMIT).await
        };
        let url = relay.url();
        says(&ask(&url, "nothing", &[]).await?, 3, &["no source 'nothing'", "--name nothing"]);
        says(&ask(&url, "a b", &[]).await?, 2, &["a b"]);
        says(&ask(&url, SOURCE, &["--wait=soon"]).await?, 2, &["soon"]);
        let nobody = format!("http://127.0.0.1:{}", free_port()?);
        says(&ask(&nobody, SOURCE, &[]).await?, 4, &["cannot be reached"]);
        let both = format!("{nobody},{url}");
        says(&ask(&both, "nothing", &[]).await?, 3, &["no source 'nothing'"]);
        Ok(())
    });
}

#[test]
fn a_capture_that_is_not_there_is_said_to_be_missing() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        master.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let relay =
            RelayProcess::builder().args(&["--capture-offline-after", "2s"]).start().await?;
        let mut setup = Setup::with(master, relay, Options::default()).await?;
        let url = setup.relay.url();
        // It hangs: nobody knows yet.
        setup.capture.pause()?;
        says(&command(&url, SOURCE, &["--wait=1s"])?.run(LIMIT).await?, 4, &["within 1 s"]);
        setup.capture.kill()?;
        eventually("it is offline", LIMIT, async || {
            Ok(setup.relay.lag(SOURCE).await?.capture.state == "offline")
        })
        .await?;
        for args in [&["--wait"][..], &[]] {
            let done = command(&url, SOURCE, args)?.run(LIMIT).await?;
            says(&done, 4, &["no capture of 'orders'", "offline", "start it"]);
        }
        // What was noted is done once there is one.
        setup.capture.start()?;
        super::says(&setup.capture, 1, "the relay has the snapshot at").await
    });
}

#[test]
fn who_waits_is_told_that_capture_went_away() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        master.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let relay =
            RelayProcess::builder().args(&["--capture-offline-after", "8s"]).start().await?;
        let mut setup = Setup::with(master, relay, Options::default()).await?;
        let url = setup.relay.url();
        setup.capture.pause()?;
        let mut waiting = command(&url, SOURCE, &["--wait=10m"])?.spawn()?;
        let mut interrupted = command(&url, SOURCE, &["--wait"])?.spawn()?;
        for (process, limit) in [(&waiting, "600 s"), (&interrupted, "3600 s")] {
            let what = format!("waiting until terminals can take it, at most {limit}");
            eventually(&what, LIMIT, async || Ok(process.stdout().contains(&what))).await?;
        }
        says(&interrupted.stop().await?, 1, &["stopped by a signal", "stays noted"]);
        setup.capture.kill()?;
        says(&waiting.wait(LIMIT).await?, 4, &["no capture of 'orders'", "offline", "start it"]);
        Ok(())
    });
}
