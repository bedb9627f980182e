//! Where the first copy and the stream meet.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{RelayProcess, eventually, test};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::own_cluster::{quick, slots};
use crate::{
    ending::says,
    setup::{LIMIT, Options, Setup, capture_command},
};

const TABLES: &str = "
    CREATE TABLE ledger (writer int, n int, amount int);
    CREATE TABLE account (id int PRIMARY KEY, n int NOT NULL);
    INSERT INTO account SELECT i, 0 FROM generate_series(1, 3) i;
    INSERT INTO ledger SELECT 0, i, i FROM generate_series(1, 20000) i";

/// A connection that always has a transaction open, but none for long.
fn writer(url: String, number: i32, stop: CancellationToken) -> JoinHandle<Result<i32>> {
    tokio::spawn(async move {
        let client = harness::connect(&url).await?;
        let mut n = 0;
        while !stop.is_cancelled() {
            n += 1;
            client
                .batch_execute(&format!(
                    "BEGIN; INSERT INTO ledger VALUES ({number}, {n}, 1); UPDATE account SET n = n + 1 WHERE id = {number}"
                ))
                .await?;
            tokio::time::sleep(Duration::from_millis(u64::try_from(number)? * 3)).await;
            let end = if n % 7 == 0 { "ROLLBACK" } else { "COMMIT" };
            client
                .batch_execute(&format!(
                    "DELETE FROM ledger WHERE writer = {number} AND n = {n} - 5; {end}"
                ))
                .await?;
        }
        Ok(n)
    })
}

/// PITFALLS 16 and 17. The ledger has no key: a row copied and streamed would be there twice.
#[test]
fn writers_in_flight_while_the_slot_is_made_leave_no_gap_and_no_repeat() {
    test(async {
        let cluster = quick().start().await?;
        for round in 0..3 {
            let master = cluster.database().await?;
            master.execute(TABLES).await?;
            let stop = CancellationToken::new();
            let writers: Vec<_> =
                (1..=3).map(|n| writer(master.url().to_owned(), n, stop.clone())).collect();
            tokio::time::sleep(Duration::from_millis(30 * round)).await;
            let relay = RelayProcess::builder().start().await?;
            let options = Options { capture: &["--keyless", "full"], config: None };
            let setup = Setup::with(master, relay, options).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            stop.cancel();
            for writer in writers {
                assert!(writer.await?? > 10, "a writer was held up");
            }
            let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
            setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        }
        Ok(())
    });
}

/// PITFALLS 18.
#[test]
fn making_the_slot_says_whom_it_waits_for_and_gives_up_in_time() {
    test(async {
        let cluster = quick().start().await?;
        let master = cluster.database().await?;
        master.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let relay = RelayProcess::builder().start().await?;
        let holder = master.connect().await?;
        holder
            .batch_execute(
                "SET application_name = 'nightly report'; BEGIN; INSERT INTO t VALUES (1)",
            )
            .await?;
        let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
        let whom = format!("PID {pid}");
        let done = capture_command(&master, &relay.url())?
            .args(["--slot-within", "5s"])
            .run(LIMIT)
            .await?;
        says(&done, 4, &[&whom, "nightly report", "--slot-within", "pg_terminate_backend"]);
        eventually("no half-made slot is left", LIMIT, async || Ok(slots(&master).await? == "0"))
            .await?;

        let capture = capture_command(&master, &relay.url())?.spawn()?;
        eventually("it says whom it waits for", LIMIT, async || {
            let said = capture.stderr();
            Ok(said.contains(&whom) && said.contains("nightly report"))
        })
        .await?;
        holder.batch_execute("COMMIT").await?;
        let setup = Setup::assembled(master, relay, capture);
        setup.captured().await.context("the transaction has ended")?;
        let terminal = setup.postgres("store").await?;
        setup.all_equal(&[&terminal]).await
    });
}

/// Asked to stop while it waits, it leaves at once, and leaves no slot.
#[test]
fn stopped_while_it_waits_for_the_slot_it_leaves_nothing() {
    test(async {
        let cluster = quick().start().await?;
        let master = cluster.database().await?;
        master.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let relay = RelayProcess::builder().start().await?;
        let holder = master.connect().await?;
        holder.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await?;
        let mut capture = capture_command(&master, &relay.url())?.spawn()?;
        eventually("the slot is being made", LIMIT, async || Ok(slots(&master).await? == "1"))
            .await?;
        let done = capture.stop().await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        holder.batch_execute("COMMIT").await?;
        eventually("the half-made slot is gone", LIMIT, async || Ok(slots(&master).await? == "0"))
            .await
    });
}
