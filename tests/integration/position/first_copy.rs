//! The first copy: interrupted, and of tables of every shape (PITFALLS 19 and 21).

use std::time::Duration;

use anyhow::Context;
use harness::{Cluster, Direction, Proxy, RelayProcess, Tables, eventually, rng, test};
use rand::Rng;

use super::own_cluster::{quick, slots};
use crate::setup::{LIMIT, Options, SOURCE, Setup, capture_command};

const SOME_ROWS: &str = "
    CREATE TABLE a (id int PRIMARY KEY, t text); CREATE TABLE b (id int PRIMARY KEY, t text);
    CREATE TABLE c (n int, t text);
    INSERT INTO a SELECT n, md5(n::text) || md5((n * 3)::text) FROM generate_series(1, 60000) n;
    INSERT INTO b SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 20000) n;
    INSERT INTO c SELECT n, md5(n::text) FROM generate_series(1, 20000) n";

#[test]
fn killed_at_random_points_it_starts_over_cleanly() {
    test(async {
        let mut rng = rng("first copy");
        let cluster = quick().start().await?;
        let master = cluster.database().await?;
        master.execute(SOME_ROWS).await?;
        let relay = RelayProcess::builder().start().await?;
        let command = capture_command(&master, &relay.url())?.args(["--keyless", "full"]);
        let mut setup = Setup::assembled(master, relay, command.spawn()?);
        let mut interrupted = 0;
        for round in 0..10 {
            tokio::time::sleep(Duration::from_millis(rng.random_range(20..600))).await;
            if setup.relay.head(SOURCE).await.is_err() {
                interrupted += 1;
            }
            if round % 3 == 2 {
                setup.relay.kill_and_restart().await?;
            } else {
                setup.kill_capture()?;
            }
            let id = 100_000 + round;
            setup
                .master
                .execute(&format!("INSERT INTO a VALUES ({id}); DELETE FROM c WHERE n = {round}"))
                .await?;
        }
        println!("{interrupted} of 10 kills came before the first copy was complete");
        setup.captured().await?;
        assert_eq!(slots(&setup.master).await?, "1");
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// What the relay has of a copy it keeps, and what it was given meanwhile is given again: nothing is read
/// twice from the master.
#[test]
fn a_relay_that_is_killed_in_the_middle_is_waited_for() {
    test(async {
        let cluster = Cluster::shared().await?;
        let master = cluster.database().await?;
        master.execute(SOME_ROWS).await?;
        let mut relay = RelayProcess::builder().start().await?;
        let proxy = Proxy::to_port(relay.port()).await?;
        proxy.limit(Some(500_000));
        let capture =
            capture_command(&master, &proxy.url())?.args(["--keyless", "full"]).spawn()?;
        for round in 1..=3 {
            eventually("some of the copy is on its way", LIMIT, async || {
                Ok(proxy.bytes(Direction::ToTarget) > round * 250_000)
            })
            .await?;
            assert!(relay.head(SOURCE).await.is_err(), "the copy was complete before the kill");
            relay.kill_and_restart().await?;
        }
        proxy.limit(None);
        let setup = Setup::assembled(master, relay, capture);
        setup.captured().await?;
        let said = setup.capture.stderr();
        assert_eq!(said.matches("made the replication slot").count(), 1, "{said}");
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// Asked to stop in the middle, it takes the slot with it, so that the master keeps no WAL for
/// nothing; a kill cannot do that, but the next start does.
#[test]
fn stopped_in_the_middle_it_leaves_no_slot() {
    test(async {
        let cluster = Cluster::shared().await?;
        let master = cluster.database().await?;
        master.execute(SOME_ROWS).await?;
        let relay = RelayProcess::builder().start().await?;
        let proxy = Proxy::to_port(relay.port()).await?;
        proxy.limit(Some(200_000));
        let command = capture_command(&master, &proxy.url())?.args(["--keyless", "full"]);
        let mut capture = command.spawn()?;
        for (round, stop) in [(1, true), (2, false), (3, true)] {
            // Not by the slot, which one that was killed leaves behind.
            eventually("it is copying", LIMIT, async || {
                assert!(capture.is_running()?, "{}", capture.stderr());
                Ok(capture.stderr().matches("made the replication slot").count() >= round)
            })
            .await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            if stop {
                let done = capture.stop().await?;
                assert_eq!(done.code, 0, "{}", done.stderr);
                assert_eq!(slots(&master).await?, "0", "{}", done.stderr);
            } else {
                capture.kill()?;
            }
            capture.start()?;
        }
        proxy.limit(None);
        let setup = Setup::assembled(master, relay, capture);
        setup.captured().await?;
        let terminal = setup.postgres("store").await?;
        setup.all_equal(&[&terminal]).await
    });
}

const SHAPES: &str = r#"
    CREATE TABLE empty_one (id int PRIMARY KEY, t text NOT NULL DEFAULT 'x');
    CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        other int GENERATED BY DEFAULT AS IDENTITY (START 100), a int, twice int GENERATED ALWAYS AS (a * 2) STORED, b text);
    INSERT INTO made (a, b) SELECT n, 'row ' || n FROM generate_series(1, 50) n;
    CREATE TABLE parted (id int, at date, t text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE parted_24 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE TABLE parted_25 PARTITION OF parted FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (id);
    CREATE TABLE parted_25_low PARTITION OF parted_25 FOR VALUES IN (1, 2, 3);
    CREATE TABLE parted_25_rest PARTITION OF parted_25 DEFAULT;
    CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
    INSERT INTO parted SELECT n, date '2023-11-01' + n * 30, 'p' || n FROM generate_series(1, 40) n;
    CREATE TABLE base (id int PRIMARY KEY, n int);
    CREATE TABLE child (extra text, PRIMARY KEY (id)) INHERITS (base);
    INSERT INTO base VALUES (1, 1), (2, 2); INSERT INTO child VALUES (3, 3, 'child');
    CREATE TABLE guarded (id int PRIMARY KEY, t text);
    INSERT INTO guarded SELECT n, 'seen' FROM generate_series(1, 5) n;
    ALTER TABLE guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE TABLE gone (id int PRIMARY KEY, dropped text, kept text);
    INSERT INTO gone VALUES (1, 'dropped', 'kept'); ALTER TABLE gone DROP COLUMN dropped, ADD COLUMN late int DEFAULT 7;
    INSERT INTO gone VALUES (2, 'kept too')"#;

#[test]
fn tables_of_every_shape_are_copied_and_followed() {
    test(async {
        let setup = Setup::shared(SHAPES).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        for sql in [
            "INSERT INTO empty_one VALUES (1), (2); DELETE FROM empty_one WHERE id = 2",
            "INSERT INTO made (a, b) VALUES (1000, 'new'); UPDATE made SET a = a + 1 WHERE id < 5; DELETE FROM made WHERE id = 9",
            "UPDATE parted SET at = at + 365 WHERE id % 4 = 0; DELETE FROM parted WHERE id = 3; INSERT INTO parted VALUES (900, '2025-05-05', 'x')",
            "UPDATE base SET n = n + 10; DELETE FROM base WHERE id = 1; INSERT INTO child VALUES (4, 4, 'second')",
            "UPDATE guarded SET t = 'changed' WHERE id = 2; DELETE FROM guarded WHERE id = 3",
            "UPDATE gone SET late = 8; INSERT INTO gone (id) VALUES (3)",
            "CREATE TABLE parted_23 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
        ] {
            setup.master.execute(sql).await?;
        }
        setup.captured().await?;
        for terminal in &terminals {
            setup.pull(terminal).await?;
            let tables = [
                "empty_one",
                "made",
                "parted_24",
                "parted_25_low",
                "parted_25_rest",
                "parted_rest",
                "base",
                "child",
                "guarded",
                "gone",
            ];
            terminal.equals(&setup.master, &Tables::only(&tables)).await?;
        }
        Ok(())
    });
}

#[test]
fn sixteen_hundred_columns_and_none_at_all() {
    test(async {
        let columns: Vec<String> = (1..1600).map(|n| format!("c{n} smallint")).collect();
        let values: Vec<String> =
            (1..1600).map(|n| if n % 3 == 0 { "NULL".into() } else { n.to_string() }).collect();
        let sql = format!(
            "CREATE TABLE wide (id int PRIMARY KEY, {}); INSERT INTO wide VALUES (1, {});
             CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES",
            columns.join(", "),
            values.join(", ")
        );
        let options = Options { capture: &["--keyless", "full"], config: None };
        let setup = Setup::on(Cluster::shared().await?, &sql, options).await?;
        let (terminal, file) = (setup.postgres("store").await?, setup.sqlite("till")?);
        let wide = Tables::only(&["wide"]);
        setup.pull(&terminal).await?;
        let count = async || {
            anyhow::Ok(terminal.value("SELECT count(*) FROM nothing").await?.context("no count")?)
        };
        assert_eq!(count().await?, "2");
        setup
            .master
            .execute("UPDATE wide SET c1 = 7, c1599 = NULL; INSERT INTO nothing DEFAULT VALUES")
            .await?;
        setup.captured().await?;
        for terminal in [&terminal, &file] {
            setup.pull(terminal).await?;
            terminal.equals(&setup.master, &wide).await?;
        }
        assert_eq!(count().await?, "3");
        Ok(())
    });
}

/// A table that is dropped or altered while it is copied waits for the copy; the rest of the
/// application does not.
#[test]
fn the_application_goes_on_while_tables_are_copied() {
    test(async {
        let cluster = quick().start().await?;
        let master = cluster.database().await?;
        master.execute(SOME_ROWS).await?;
        let relay = RelayProcess::builder().start().await?;
        let proxy = Proxy::to_port(relay.port()).await?;
        proxy.limit(Some(1_000_000));
        let capture =
            capture_command(&master, &proxy.url())?.args(["--keyless", "full"]).spawn()?;
        eventually("it is copying", LIMIT, async || Ok(slots(&master).await? == "1")).await?;
        for (n, sql) in [
            "UPDATE a SET t = 'changed' WHERE id < 100",
            "DELETE FROM b WHERE id < 100",
            "INSERT INTO c VALUES (-1, 'new')",
            "CREATE TABLE d (id int PRIMARY KEY)",
            "CREATE INDEX CONCURRENTLY ON a (t)",
        ]
        .into_iter()
        .enumerate()
        {
            let client = master.connect().await?;
            client.batch_execute("SET statement_timeout = '5s'").await?;
            client.batch_execute(sql).await.with_context(|| format!("{n}: {sql}"))?;
        }
        proxy.limit(None);
        let setup = Setup::assembled(master, relay, capture);
        setup.captured().await?;
        let terminal = setup.postgres("store").await?;
        setup.pull(&terminal).await?;
        terminal.equals(&setup.master, &Tables::only(&["a", "b", "c"])).await
    });
}
