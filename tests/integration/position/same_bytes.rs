//! Invariant 6: the hashed bytes are a pure function of the WAL. Two captures of one master, one left
//! alone and one killed again and again, under other slots, at other times, with other slices, tell
//! the same history byte for byte.

use std::time::Duration;

use harness::{Lsn, RelayProcess, Workload, rng, seed, test};
use rand::Rng;

use super::own_cluster::quick;
use crate::{
    history::{self, Run},
    setup::{LIMIT, Options, SOURCE, Setup},
};

fn behind(runs: &[Run], start: Lsn) -> Vec<(Lsn, String, String)> {
    let mut found: Vec<_> = runs
        .iter()
        .filter(|run| run.end > start)
        .map(|run| (run.end, run.channel.clone(), run.digest.to_string()))
        .collect();
    found.sort();
    found
}

#[test]
fn what_is_encoded_again_is_the_same() {
    test(async {
        let mut rng = rng("encoded again");
        let cluster = quick().start().await?;
        let master = cluster.database().await?;
        Workload::prepare(master.url()).await?;
        master.execute("CREATE TABLE bulk (id int PRIMARY KEY, t text)").await?;
        let relay = RelayProcess::builder().start().await?;
        let options = Options { capture: &["--keyless", "full"], config: None };
        let steady = Setup::with(master, relay, options).await?;
        let shaken = RelayProcess::builder().args(&["--tail-size", "256KiB"]).start().await?;
        let mut capture = harness::capture(steady.master.url(), SOURCE, &shaken.url())?
            .args(["--keyless", "full", "--slot", "shaken", "--publication", "shaken"])
            .env("TZ", "Asia/Kathmandu")
            .env("LC_ALL", "C")
            .spawn()?;
        let mut start = steady.position().await?;
        shaken.wait_head(SOURCE, start, LIMIT).await?;
        start = start.max(shaken.lag(SOURCE).await?.relay.horizon);

        let mut workload = Workload::start(steady.master.url(), seed(), 4).await?;
        for round in 0..12 {
            workload.run(100).await?;
            if round == 6 {
                // Long enough to travel in parts.
                let bulk = "INSERT INTO bulk SELECT n, repeat(md5(n::text), 60) FROM generate_series(1, 15000) n";
                steady.master.execute(bulk).await?;
            }
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..150))).await;
            capture.kill()?;
            capture.start()?;
        }
        workload.finish().await?;
        let end = steady.captured().await?;
        shaken.wait_head(SOURCE, end, LIMIT).await?;
        let (one, other) =
            (history::read(&steady.relay, None).await?, history::read(&shaken, None).await?);
        let (one, other) = (behind(&one, start), behind(&other, start));
        let upto = |runs: Vec<(Lsn, String, String)>| -> Vec<_> {
            runs.into_iter().filter(|run| run.0 <= end).collect()
        };
        let (one, other) = (upto(one), upto(other));
        assert!(one.len() > 50, "only {} transactions", one.len());
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one, other);
        }
        assert_eq!(one.len(), other.len());
        Ok(())
    });
}
