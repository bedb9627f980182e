//! Snapshots that the relay wants by itself.

use harness::{Cluster, RelayProcess, eventually, test};

use super::{first_pull, positions};
use crate::setup::{LIMIT, Options, Setup};

const WANTED: &str = "the log has outgrown its newest snapshot";

/// Once each time, however often it is looked.
#[test]
fn a_log_that_outgrows_its_snapshot_gets_a_new_one() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        master
            .execute("CREATE TABLE t (id int PRIMARY KEY, t text); INSERT INTO t VALUES (0, '')")
            .await?;
        let relay =
            RelayProcess::builder().args(&["--snapshot-log-floor", "100kB"]).start().await?;
        let setup = Setup::with(master, relay, Options::default()).await?;
        let first = positions(&setup.relay).await?;
        assert_eq!(first.len(), 1);
        let mut newest = first[0];
        for round in 1..=2 {
            // More each time than all rows, which nothing compresses.
            let rows = "INSERT INTO t SELECT n, md5(random()::text) || md5(random()::text) FROM generate_series(1, 20000) n
                ON CONFLICT (id) DO UPDATE SET t = excluded.t";
            setup.master.execute(rows).await?;
            let written = setup.captured().await?;
            eventually("a newer snapshot is there", LIMIT, async || {
                Ok(positions(&setup.relay).await?.first().is_some_and(|lsn| *lsn > newest))
            })
            .await?;
            newest = positions(&setup.relay).await?[0];
            println!("round {round}: written up to {written}, the snapshot is at {newest}");
            assert_eq!(setup.relay.stderr().matches(WANTED).count(), round);
            assert_eq!(setup.capture.stderr().matches("taking a snapshot").count(), round);
        }
        let terminal = setup.postgres("store").await?;
        first_pull(&setup, &terminal, newest).await?;
        setup.all_equal(&[&terminal]).await
    });
}
