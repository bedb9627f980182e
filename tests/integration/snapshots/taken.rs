//! While the master works, and while it does not: a terminal that starts from any of them is right.

use std::time::{Duration, Instant};

use anyhow::Result;
use harness::{
    Cluster, Lsn, Pgbench, RelayProcess, Tables, Workload, eventually, rng, seed, test, test_within,
};
use rand::Rng;

use super::{MUCH, ask, first_pull, one_slot, positions, snapshot};
use crate::setup::{LIMIT, Options, Setup};

const KEYLESS: [&str; 2] = ["--keyless", "full"];

/// A master that pgbench and the workload write, and a capture with these arguments.
async fn busy(capture: &[&str]) -> Result<(Setup, Pgbench)> {
    let master = Cluster::shared().await?.database().await?;
    let pgbench = Pgbench::new(master.url())?;
    pgbench.init(1).await?;
    Workload::prepare(master.url()).await?;
    let relay = RelayProcess::builder().start().await?;
    let options = Options { capture, config: None };
    Ok((Setup::with(master, relay, options).await?, pgbench))
}

#[test]
fn terminals_old_and_new_are_equal_to_a_busy_master() {
    test(async {
        let (setup, pgbench) = busy(&KEYLESS).await?;
        let old = [setup.postgres("old").await?, setup.sqlite("old-file")?];
        let mut followers = Vec::new();
        for terminal in &old {
            followers.push(terminal.command(&setup.relay.url())?.arg("--follow").spawn()?);
        }
        let first = positions(&setup.relay).await?;
        let mut workload = Workload::start(setup.master.url(), seed(), 4).await?;
        let load = pgbench.spawn(2, 600, &["--rate", "300"])?;
        let (taken, worked) = tokio::join!(snapshot(&setup), async {
            workload.run(300).await?;
            // Slots wait for transactions that are open.
            workload.finish().await
        });
        worked?;
        let lsn = taken?;
        assert!(lsn > first[0]);
        let new = [setup.postgres("new").await?, setup.sqlite("new-file")?];
        for terminal in &new {
            first_pull(&setup, terminal, lsn).await?;
        }
        workload.run(200).await?;
        workload.finish().await?;
        load.kill()?;
        setup.captured().await?;
        drop(followers);
        one_slot(&setup).await?;
        let all: Vec<_> = old.iter().chain(&new).collect();
        setup.all_equal(&all).await
    });
}

#[test]
fn each_of_several_at_random_moments_is_right() {
    test_within(Duration::from_secs(300), async {
        let mut rng = rng("snapshots");
        println!("seed {}", seed());
        let (setup, pgbench) = busy(&KEYLESS).await?;
        let mut workload = Workload::start(setup.master.url(), seed(), 4).await?;
        let mut taken: Vec<Lsn> = Vec::new();
        for round in 0..6 {
            let load = pgbench.spawn(3, 600, &[])?;
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..800))).await;
            let steps = rng.random_range(50..400);
            let (lsn, worked) = tokio::join!(snapshot(&setup), async {
                workload.run(steps).await?;
                workload.finish().await
            });
            worked?;
            let lsn = lsn?;
            load.kill()?;
            setup.captured().await?;
            let terminal = match round % 2 {
                0 => setup.postgres(&format!("store-{round}")).await?,
                _ => setup.sqlite(&format!("till-{round}"))?,
            };
            first_pull(&setup, &terminal, lsn).await?;
            terminal.equals(&setup.master, &Tables::All).await?;
            println!("round {round}: at {lsn}, terminal equal");
            taken.push(lsn);
        }
        assert!(taken.is_sorted());
        assert!(positions(&setup.relay).await?.len() <= 4, "older ones go");
        one_slot(&setup).await
    });
}

/// Nobody writes, so the stream passes the position by what the server says between.
#[test]
fn an_idle_masters_snapshot_can_be_taken() {
    test(async {
        let setup =
            Setup::shared("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
        for name in ["store", "till"] {
            let lsn = snapshot(&setup).await?;
            let terminal = setup.postgres(name).await?;
            first_pull(&setup, &terminal, lsn).await?;
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        Ok(())
    });
}

const CHANNELS: &str = r#"
[channels.sales]
tables = ["public.order_*"]

[channels.stock]
tables = ["warehouse.*"]
"#;

const TABLES: &str = "
    CREATE SCHEMA warehouse;
    CREATE TABLE order_lines (id int PRIMARY KEY, n int NOT NULL);
    CREATE TABLE warehouse.shelf (id int PRIMARY KEY, n int NOT NULL);
    CREATE TABLE elsewhere (id int PRIMARY KEY, n int NOT NULL);
    INSERT INTO order_lines SELECT i, 0 FROM generate_series(1, 20) i;
    INSERT INTO warehouse.shelf SELECT i, 0 FROM generate_series(1, 20) i;
    INSERT INTO elsewhere VALUES (1, 1)";

/// A terminal of one channel goes on from the snapshot's hashes: were they wrong, it would take the log
/// for another history. `stock` has no transaction before the snapshot, `sales` has many.
#[test]
fn hashes_of_several_channels_are_those_at_the_snapshot() {
    test(async {
        let options = Options { config: Some(CHANNELS), ..Options::default() };
        let setup = Setup::on(Cluster::shared().await?, TABLES, options).await?;
        let mut names = Vec::new();
        for round in 0..3 {
            let client = setup.master.connect().await?;
            let writing = tokio::spawn(async move {
                let until = Instant::now() + Duration::from_secs(4);
                while Instant::now() < until {
                    client
                        .batch_execute(
                            "UPDATE order_lines SET n = n + 1; UPDATE elsewhere SET n = n + 1",
                        )
                        .await?;
                }
                Ok::<_, anyhow::Error>(())
            });
            let lsn = snapshot(&setup).await?;
            let sales = setup.postgres(&format!("sales-{round}")).await?.channels("sales");
            let stock = setup.sqlite(&format!("stock-{round}"))?.channels("stock");
            for terminal in [&sales, &stock] {
                first_pull(&setup, terminal, lsn).await?;
            }
            writing.await??;
            let both = "BEGIN; UPDATE order_lines SET n = n + 1; UPDATE warehouse.shelf SET n = n + 1; COMMIT";
            setup.master.execute(both).await?;
            names.push((sales, "public.order_lines"));
            names.push((stock, "warehouse.shelf"));
            setup.captured().await?;
            for (terminal, table) in &names {
                setup.pull(terminal).await?;
                terminal.equals(&setup.master, &Tables::only(&[table])).await?;
            }
        }
        Ok(())
    });
}

/// Due ones come by themselves; one that is not due does not come with a restart.
#[test]
fn they_are_taken_as_often_as_told() {
    test(async {
        let mut options = Options { capture: &["--snapshot-every", "2s"], config: None };
        let mut setup = Setup::on(Cluster::shared().await?, MUCH, options).await?;
        let first = positions(&setup.relay).await?;
        eventually("two newer ones are there", LIMIT, async || {
            let now = positions(&setup.relay).await?;
            assert!(now.len() <= 2 + 1, "{now:?}");
            Ok(now.len() >= 2 && now[1] > first[0])
        })
        .await?;
        let peak = setup.capture.memory().peak;
        assert!(peak < 256 << 20, "{peak} bytes");
        let terminal = setup.sqlite("till")?;
        setup.all_equal(&[&terminal]).await?;

        options = Options { capture: &["--snapshot-every", "1h"], config: None };
        let mut setup =
            Setup::on(Cluster::shared().await?, "CREATE TABLE t (id int PRIMARY KEY)", options)
                .await?;
        setup.kill_capture()?;
        setup.master.execute("INSERT INTO t VALUES (1)").await?;
        setup.captured().await?;
        ask(&setup, &[]).await?;
        super::says(&setup.capture, 1, "the relay has the snapshot at").await?;
        let said = setup.capture.stderr();
        assert!(!said.contains("taking a snapshot: it is due"), "{said}");
        Ok(())
    });
}

/// A terminal that was away, and whose rows were damaged besides, leaps forward to a later snapshot.
#[test]
fn a_terminal_is_reloaded_to_a_later_one() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, n FROM generate_series(1, 500) n",
        )
        .await?;
        let (store, till) = (setup.postgres("store").await?, setup.sqlite("till")?);
        setup.all_equal(&[&store, &till]).await?;
        for round in 1..4 {
            let change =
                format!("UPDATE t SET n = n + {round}; DELETE FROM t WHERE id % 10 = {round}");
            setup.master.execute(&change).await?;
        }
        let lsn = snapshot(&setup).await?;
        setup.master.execute("UPDATE t SET n = -n WHERE id < 50").await?;
        for terminal in [&store, &till] {
            let done = setup.reload(terminal).await?;
            assert!(done.stderr.contains(&lsn.to_string()), "not to {lsn}: {}", done.stderr);
        }
        setup.all_equal(&[&store, &till]).await
    });
}
