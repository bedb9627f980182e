//! A copy by several connections: each row comes once, whatever happens to one of them.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Cluster, Database, Process, Proxy, RelayProcess, Tables, eventually, test};
use wire::{CopyProgress, Lag, Snapshot, SnapshotList};

use crate::setup::{LIMIT, SOURCE, Setup, capture_command};

/// A table of some 110 MB on disk with versions of rows that nobody sees, and empty blocks in the middle and
/// at the end; one with long values, and small ones.
const RANGES: &str = "
    CREATE TABLE big (id int PRIMARY KEY, t text) WITH (autovacuum_enabled = off);
    INSERT INTO big SELECT n, repeat(md5((n % 100)::text), 45) FROM generate_series(1, 60000) n;
    UPDATE big SET t = 'changed ' || t WHERE id % 7 = 0;
    DELETE FROM big WHERE id BETWEEN 15000 AND 35000;
    DELETE FROM big WHERE id > 58000 OR id % 7 = 0 AND id > 40000;
    CREATE TABLE long (id int PRIMARY KEY, t text);
    ALTER TABLE long ALTER t SET STORAGE EXTERNAL;
    INSERT INTO long SELECT n, repeat(md5(n::text), 1000 * (n % 5)) FROM generate_series(1, 700) n;
    INSERT INTO long SELECT 1000 + n, repeat(md5(n::text), 160000) FROM generate_series(1, 4) n;
    CREATE TABLE small (id int PRIMARY KEY, t text); INSERT INTO small SELECT n, 'small ' || n FROM generate_series(1, 1000) n;
    CREATE TABLE empty_one (id int PRIMARY KEY);
    CREATE TABLE parted (id int, t text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (500);
    CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (500) TO (100000);
    INSERT INTO parted SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 30000) n";

/// All but the partitioned table itself, which has no rows of its own.
const TABLES: [&str; 6] = ["big", "long", "small", "empty_one", "parted_low", "parted_high"];

async fn snapshot(relay: &RelayProcess) -> Result<Snapshot> {
    let answer = relay.get(&format!("/v1/{SOURCE}/snapshot"))?.send().await?;
    let list: SnapshotList = serde_json::from_str(&answer.text().await?)?;
    list.snapshots.into_iter().next().context("no snapshot")
}

async fn says(capture: &mut Process, what: &str) -> Result<()> {
    eventually(&format!("capture says '{what}'"), LIMIT, async || {
        assert!(capture.is_running()?, "{}", capture.stderr());
        Ok(capture.stderr().contains(what))
    })
    .await
}

/// Rows and bytes of each table.
fn amounts(snapshot: &Snapshot) -> Vec<(&str, u64, u64)> {
    snapshot.tables.iter().map(|table| (&*table.name, table.rows, table.raw_len)).collect()
}

async fn is_at_least(master: &Database, major: u32) -> Result<bool> {
    let number = master.value("SHOW server_version_num").await?.context("no version")?;
    Ok(number.parse::<u32>()? / 10_000 >= major)
}

#[test]
fn each_row_comes_once_from_many_ranges() {
    test(async {
        let mut master = Cluster::shared().await?.database().await?;
        master.execute(RANGES).await?;
        let cuts = is_at_least(&master, 14).await?;
        if cuts {
            let range =
                "EXPLAIN SELECT id FROM ONLY big WHERE ctid >= '(2000,0)' AND ctid < '(4000,0)'";
            let plan = master.value(range).await?.unwrap_or_default();
            assert!(plan.contains("Tid Range Scan"), "a range is not read as one: {plan}");
        }
        let mut lists = Vec::new();
        for connections in ["1", "4", "16"] {
            let name = format!("{}_{connections}", master.name());
            let relay = RelayProcess::builder().start().await?;
            let command = harness::capture(master.url(), SOURCE, &relay.url())?;
            let command = command.args(["--slot", &name, "--publication", &name]);
            let capture = command.args(["--copy-connections", connections]).spawn()?;
            let mut setup = Setup::assembled(master, relay, capture);
            setup.captured().await?;
            let said = setup.capture.stderr();
            assert!(said.contains(&format!("with {connections} connections")), "{said}");
            let pieces = format!("in {} pieces", TABLES.len());
            assert_eq!(said.contains(&pieces), connections == "1" || !cuts, "{said}");
            let list = snapshot(&setup.relay).await?;
            let big = list.tables.iter().find(|table| table.name == "big").context("no big")?;
            assert!(big.objects.len() > 2, "{} objects", big.objects.len());
            let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
            for terminal in &terminals {
                setup.pull(terminal).await?;
                terminal.equals(&setup.master, &Tables::only(&TABLES)).await?;
            }
            lists.push(list);
            setup.capture.stop().await?;
            master = setup.master;
        }
        for list in &lists {
            assert_eq!(amounts(list), amounts(&lists[0]));
        }
        Ok(())
    });
}

/// The rows are those of one moment, though they come by several ways while others write.
#[test]
fn what_is_written_meanwhile_comes_by_the_stream() {
    test(async {
        let (setup, proxy) =
            held_up(Cluster::shared().await?, &["--copy-connections", "3"]).await?;
        for round in 0..20 {
            let sql = format!(
                "UPDATE big SET t = 'round {round} ' || t WHERE id % 20 = {round} AND id < 5000;
                 DELETE FROM big WHERE id % 20 = {round} AND id > 57000;
                 INSERT INTO big SELECT 100000 + {round} * 100 + n, 'new' FROM generate_series(1, 50) n;
                 UPDATE big SET id = id + 1000000 WHERE id = 36001 + {round} * 7"
            );
            setup.master.execute(&sql).await?;
        }
        proxy.limit(None);
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.captured().await?;
        for terminal in &terminals {
            setup.pull(terminal).await?;
            terminal.equals(&setup.master, &Tables::only(&TABLES)).await?;
        }
        Ok(())
    });
}

/// In the middle of a first copy, which the way to the relay holds up until it is let go.
async fn held_up(cluster: &Cluster, args: &[&str]) -> Result<(Setup, Proxy)> {
    let master = cluster.database().await?;
    master.execute(RANGES).await?;
    let relay = RelayProcess::builder().start().await?;
    let proxy = Proxy::to_port(relay.port()).await?;
    proxy.limit(Some(100_000));
    let mut capture = capture_command(&master, &proxy.url())?.args(args).spawn()?;
    says(&mut capture, "first copy: ").await?;
    Ok((Setup::assembled(master, relay, capture), proxy))
}

/// The backends that read tables for a copy.
const READERS: &str = "SELECT pid::text FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'tailwater-capture' AND query LIKE 'COPY %'
    ORDER BY pid DESC LIMIT 1";

#[test]
fn one_connection_that_is_cut_ends_the_copy_and_it_begins_anew() {
    test(async {
        let (mut setup, proxy) = held_up(Cluster::shared().await?, &[]).await?;
        for _ in 0..3 {
            let mut reader = None;
            eventually("somebody reads", LIMIT, async || {
                reader = setup.master.value(READERS).await?;
                Ok(reader.is_some())
            })
            .await?;
            let slot = "SELECT catalog_xmin::text || restart_lsn FROM pg_replication_slots WHERE database = current_database()";
            let before = setup.master.value(slot).await?.context("no slot")?;
            let end = format!("SELECT pg_terminate_backend({})::text", reader.unwrap());
            setup.master.value(&end).await?;
            eventually("it begins anew", LIMIT, async || {
                assert!(setup.capture.is_running()?, "{}", setup.capture.stderr());
                Ok(setup.master.value(slot).await?.is_some_and(|now| now != before))
            })
            .await?;
        }
        let said = setup.capture.stderr();
        assert!(
            said.contains("could not be copied") && said.contains("dropped the replication slot"),
            "{said}"
        );
        proxy.limit(None);
        equal(&setup).await
    });
}

async fn equal(setup: &Setup) -> Result<()> {
    let terminal = setup.sqlite("till")?;
    setup.captured().await?;
    setup.pull(&terminal).await?;
    terminal.equals(&setup.master, &Tables::only(&TABLES)).await
}

/// All have their locks before the first reads, so that nobody stands behind who waits for one of them.
#[test]
fn an_alter_that_waits_does_not_stop_the_first_copy() {
    test(async {
        let (setup, proxy) = held_up(Cluster::shared().await?, &[]).await?;
        let writer = setup.master.connect().await?;
        let alter = tokio::spawn(async move {
            let sql = "ALTER TABLE small ADD CONSTRAINT positive CHECK (id > 0)";
            writer.batch_execute(sql).await
        });
        eventually("it waits", LIMIT, async || {
            let waits = "SELECT 1 FROM pg_locks WHERE relation = 'small'::regclass AND NOT granted";
            Ok(setup.master.value(waits).await?.is_some())
        })
        .await?;
        proxy.limit(None);
        equal(&setup).await?;
        alter.await??;
        Ok(())
    });
}

/// Who wants a table while the readers take their locks goes first.
#[test]
fn an_alter_before_the_first_copy_goes_first() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        master.execute(RANGES).await?;
        let writer = master.connect().await?;
        writer.batch_execute("BEGIN; LOCK TABLE small IN ACCESS EXCLUSIVE MODE").await?;
        let relay = RelayProcess::builder().start().await?;
        let capture = capture_command(&master, &relay.url())?.spawn()?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        writer.batch_execute("TRUNCATE small; INSERT INTO small VALUES (7, 'x'); COMMIT").await?;
        equal(&Setup::assembled(master, relay, capture)).await
    });
}

#[test]
fn where_the_server_is_full_fewer_connections_copy() {
    test(async {
        let cluster = Cluster::builder().without_fsync().setting("max_connections", 20);
        let cluster = cluster.setting("superuser_reserved_connections", 0).start().await?;
        let master = cluster.database().await?;
        master.execute(RANGES).await?;
        // Capture itself needs three before it reads.
        let free = "SELECT (20 - count(*))::text FROM pg_stat_activity WHERE backend_type = 'client backend'";
        let mut others = Vec::new();
        while master.value(free).await?.context("no number")?.parse::<i32>()? > 3 {
            others.push(master.connect().await?);
        }
        let relay = RelayProcess::builder().start().await?;
        let capture = capture_command(&master, &relay.url())?.spawn()?;
        let setup = Setup::assembled(master, relay, capture);
        // The test's own look at the master is one connection too.
        setup.relay.wait_head(SOURCE, "0/1".parse()?, LIMIT).await?;
        let said = setup.capture.stderr();
        let fewer = [1, 2, 3].map(|count| format!("copying with {count} connections instead of 4"));
        assert!(fewer.iter().any(|fewer| said.contains(fewer)), "{said}");
        drop(others);
        equal(&setup).await
    });
}

/// The harness reads the lag of a log that has begun.
async fn copy_in_lag(relay: &RelayProcess) -> Result<Option<CopyProgress>> {
    let answer = relay.get(&format!("/v1/{SOURCE}/lag"))?.send().await?;
    let lag: Lag = serde_json::from_str(&answer.text().await?)?;
    Ok(lag.capture.copy)
}

#[test]
fn how_far_a_copy_is_stands_in_the_lag() {
    test(async {
        let (setup, proxy) = held_up(Cluster::shared().await?, &[]).await?;
        proxy.limit(Some(300_000));
        let mut told = None;
        eventually("it is told", LIMIT, async || {
            told = copy_in_lag(&setup.relay).await?.filter(|copy| copy.rows > 0);
            Ok(told.is_some())
        })
        .await?;
        let told = told.context("nothing")?;
        assert_eq!(told.what, "first copy");
        assert!(told.bytes_total > 100 << 20 && told.bytes_done < told.bytes_total, "{told:?}");
        assert!(told.bytes_done > 0 && told.percent < 100 && told.rows < 200_000, "{told:?}");
        proxy.limit(None);
        setup.captured().await?;
        eventually("it is over", LIMIT, async || Ok(copy_in_lag(&setup.relay).await?.is_none()))
            .await
    });
}
