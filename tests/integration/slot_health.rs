//! A slot that is about to be lost is warned of before it is, wherever capture stands, and the warning
//! goes when the danger has gone (invariant 10).

use anyhow::{Context, Result};
use harness::{Cluster, Database, Process, RelayProcess, eventually, test};

use crate::setup::{LIMIT, Options, SOURCE, Setup, capture_command};

const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1); CREATE TABLE elsewhere (n int, t text)";
const ARGS: [&str; 2] = ["--tables", "public.t"];

async fn cluster() -> Result<Cluster> {
    Cluster::builder().without_fsync().setting("max_slot_wal_keep_size", "64MB").start().await
}

/// Writes WAL, 1 MB at a time, until less than so many hundredths of what the slot may hold back are left;
/// as the server itself counts it.
async fn until_left(master: &Database, hundredths: i64) -> Result<()> {
    let client = master.connect().await?;
    let left = "
        SELECT safe_wal_size, (pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::int8
        FROM pg_replication_slots WHERE database = current_database()";
    loop {
        let row = client.query_one(left, &[]).await?;
        let (room, held): (Option<i64>, i64) = (row.get(0), row.get(1));
        let room = room.context("the server sets no limit")?;
        if room * 100 < (room + held) * hundredths {
            return Ok(());
        }
        let write =
            "INSERT INTO elsewhere SELECT n, repeat('f', 500) FROM generate_series(1, 1700) n";
        client.batch_execute(write).await?;
    }
}

/// Lines of the log that say how much is left: one for each severity that came and went.
fn said(capture: &Process) -> Vec<String> {
    let log = capture.stderr();
    let is_it = |line: &&str| {
        ["the master drops the slot's WAL", "the slot is safe"].iter().any(|it| line.contains(it))
    };
    log.lines().filter(is_it).map(str::to_owned).collect()
}

/// Waits until the last of these lines holds the words; there may be no more than `most` of them.
async fn says(capture: &Process, most: usize, words: &[&str]) -> Result<()> {
    eventually(&format!("capture says {words:?}"), LIMIT, async || {
        let said = said(capture);
        assert!(said.len() <= most, "{said:#?}");
        Ok(said.last().is_some_and(|last| words.iter().all(|word| last.contains(word))))
    })
    .await
    .with_context(|| format!("it said {:#?}", said(capture)))
}

async fn metric(relay: &RelayProcess, name: &str) -> Result<f64> {
    let text = relay.get("/metrics")?.send().await?.text().await?;
    let line =
        text.lines().find_map(|line| line.strip_prefix(&format!("{name}{{source=\"orders\"}} ")));
    Ok(line.with_context(|| format!("no {name}: {text}"))?.parse()?)
}

/// A transaction that is forgotten on the master holds the slot back, however well capture follows.
#[test]
fn a_forgotten_transaction_is_warned_of_while_all_else_goes_on() {
    test(async {
        let cluster = cluster().await?;
        let setup = Setup::on(&cluster, TABLES, Options { capture: &ARGS, config: None }).await?;
        let mut forgetful = setup.master.connect().await?;
        let forgotten = forgetful.transaction().await?;
        forgotten.batch_execute("UPDATE t SET n = n + 1").await?;
        until_left(&setup.master, 45).await?;
        eventually("the relay shows the danger", LIMIT, async || {
            let capture = setup.relay.lag(SOURCE).await?.capture;
            Ok(capture.error.is_some_and(|error| {
                assert_eq!(capture.state, "streaming");
                error.contains("the master drops the slot's WAL in about ")
                    && error.contains(" at the present rate: ")
                    && error.contains("MiB left of max_slot_wal_keep_size")
                    && error.contains("What to do: ")
            }))
        })
        .await?;
        assert!(metric(&setup.relay, "tailwater_relay_slot_safe_wal_bytes").await? < 45e6);
        assert!(metric(&setup.relay, "tailwater_relay_slot_time_left_seconds").await? < 3600.0);
        assert!(metric(&setup.relay, "tailwater_relay_slot_retained_bytes").await? > 30e6);
        // Nothing stands still for it, and it is said once.
        setup.master.execute("INSERT INTO t VALUES (2, 2)").await?;
        setup.captured().await?;
        says(&setup.capture, 1, &["WARN", "in about", "at the present rate"]).await?;

        forgotten.commit().await?;
        eventually("the danger has gone", LIMIT, async || {
            // The server looks again where it must read from when it logs which transactions run.
            setup.master.execute("CHECKPOINT; UPDATE t SET n = n + 1").await?;
            let capture = setup.relay.lag(SOURCE).await?.capture;
            assert_eq!(capture.state, "streaming");
            Ok(capture.error.is_none())
        })
        .await?;
        says(&setup.capture, 2, &["INFO", "the slot is safe"]).await
    });
}

/// Capture is started while its relay is away: nothing is followed, and the slot is watched all the same.
#[test]
fn without_a_relay_it_is_warned_of_step_by_step_before_it_is_lost() {
    test(async {
        let cluster = cluster().await?;
        let args = [&ARGS[..], &["--start-within", "10m"]].concat();
        let mut setup =
            Setup::on(&cluster, TABLES, Options { capture: &args, config: None }).await?;
        setup.capture.kill()?;
        setup.relay.kill()?;
        setup.master.execute("UPDATE t SET n = n + 1").await?;
        setup.capture.start()?;
        until_left(&setup.master, 24).await?;
        // Perhaps with a warning before, if that look came soon enough.
        says(&setup.capture, 2, &["ERROR", "in about", "at the present rate", "MiB left"]).await?;
        until_left(&setup.master, 0).await?;
        says(&setup.capture, 3, &["ERROR", "at its next checkpoint"]).await?;
        // It is not lost yet: with the relay back in time nothing is.
        setup.relay.start()?;
        setup.relay.wait_ready().await?;
        setup.captured().await?;
        eventually("the slot is let go of", LIMIT, async || {
            setup.master.execute("UPDATE t SET n = n + 1").await?;
            Ok(said(&setup.capture).last().is_some_and(|line| line.contains("the slot is safe")))
        })
        .await?;
        let terminal = setup.postgres("store").await?;
        setup.captured().await?;
        setup.pull(&terminal).await?;
        let rows = "SELECT string_agg(id || ':' || n, ',') FROM t";
        assert_eq!(terminal.value(rows).await?, setup.master.value(rows).await?);
        Ok(())
    });
}

/// A first copy may take hours, and the slot is there already.
#[test]
fn it_is_watched_while_the_first_copy_is_made() {
    test(async {
        let cluster = cluster().await?;
        let master = cluster.database().await?;
        master.execute(TABLES).await?;
        // The slot's making waits for this, so that there is a moment to put the relay to sleep in.
        let mut open = master.connect().await?;
        let transaction = open.transaction().await?;
        transaction.batch_execute("UPDATE t SET n = n + 1").await?;
        let relay = RelayProcess::builder().start().await?;
        let capture = capture_command(&master, &relay.url())?.args(ARGS).spawn()?;
        eventually("capture waits", LIMIT, async || {
            Ok(capture.stderr().contains("making the replication slot waits"))
        })
        .await?;
        relay.pause()?;
        transaction.commit().await?;
        let slot = "SELECT 1 FROM pg_replication_slots WHERE confirmed_flush_lsn IS NOT NULL";
        eventually("the slot is there", LIMIT, async || Ok(master.value(slot).await?.is_some()))
            .await?;
        until_left(&master, 24).await?;
        says(&capture, 2, &["the master drops the slot's WAL"]).await?;
        relay.resume()?;
        let setup = Setup::assembled(master, relay, capture);
        setup.captured().await.map(drop)
    });
}
