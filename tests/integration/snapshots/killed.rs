//! Copies that end in the middle leave nothing, and hold up nobody.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::Result;
use harness::{Tables, eventually, rng, seed, test};
use rand::Rng;

use super::{MUCH, alone, ask, first_pull, list, one_slot, positions, says};
use crate::setup::{LIMIT, Options, SOURCE, Setup, slot_of};

#[test]
fn killed_in_the_middle_of_a_copy_the_stream_goes_on() {
    test(async {
        let mut rng = rng("killed copies");
        println!("seed {}", seed());
        let cluster = alone().await?;
        let mut setup = Setup::on(&cluster, MUCH, Options::default()).await?;
        let first = positions(&setup.relay).await?;
        ask(&setup, &[]).await?;
        // The request is not lost with who took it: each start takes it anew.
        for round in 1..=5 {
            says(&setup.capture, round, "the snapshot is at").await?;
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..400))).await;
            let done = setup.capture.stderr().contains("the relay has the snapshot at");
            if done {
                println!("round {round}: it was complete before it was killed");
                ask(&setup, &[]).await?;
                says(&setup.capture, round + 1, "the snapshot is at").await?;
                break;
            }
            setup.kill_capture()?;
            assert_eq!(positions(&setup.relay).await?, first, "half of one is seen");
            let sql = format!("INSERT INTO small VALUES ({}, 'later')", 10_000 + round);
            setup.master.execute(&sql).await?;
            setup.captured().await?;
        }
        eventually("the snapshot is there", LIMIT, async || {
            Ok(positions(&setup.relay).await?.len() > first.len())
        })
        .await?;
        one_slot(&setup).await?;
        let terminal = setup.postgres("store").await?;
        let lsn = positions(&setup.relay).await?[0];
        first_pull(&setup, &terminal, lsn).await?;
        terminal.equals(&setup.master, &Tables::All).await
    });
}

/// A relay that hangs holds the copy up where it is: by then the master keeps no WAL for it.
#[test]
fn the_slot_of_a_snapshot_goes_before_its_copy_ends() {
    test(async {
        let cluster = alone().await?;
        let mut setup = Setup::on(&cluster, MUCH, Options::default()).await?;
        let first = positions(&setup.relay).await?;
        ask(&setup, &[]).await?;
        says(&setup.capture, 1, "the snapshot is at").await?;
        setup.relay.pause()?;
        one_slot(&setup).await?;
        let held = "SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE l.relation = 'small'::regclass
              AND (a.query LIKE 'LOCK TABLE%' OR a.query LIKE '%pg_blocking_pids%')";
        assert!(setup.master.value(held).await?.is_some(), "nothing keeps the tables as they are");
        assert!(!setup.capture.stderr().contains("the relay has the snapshot at"));
        setup.capture.kill()?;
        setup.relay.resume()?;
        // Nothing holds the tables any more.
        setup.master.execute("ALTER TABLE small ADD CONSTRAINT positive CHECK (id > 0)").await?;
        assert_eq!(positions(&setup.relay).await?, first);
        setup.capture.start()?;
        says(&setup.capture, 1, "the relay has the snapshot at").await?;
        let terminal = setup.sqlite("till")?;
        setup.all_equal(&[&terminal]).await
    });
}

/// A transaction that stays open keeps a slot from being made; it is named, and the stream does not wait.
#[test]
fn a_transaction_that_stays_open_is_named_and_delays_nothing_else() {
    test(async {
        let options = Options { capture: &["--slot-within", "4s"], config: None };
        let sql = "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)";
        let cluster = alone().await?;
        let setup = Setup::on(&cluster, sql, options).await?;
        let writer = setup.master.connect().await?;
        writer.batch_execute("BEGIN; INSERT INTO u VALUES (1)").await?;
        ask(&setup, &[]).await?;
        says(&setup.capture, 1, "waits for transactions that are open: PID").await?;
        setup.master.execute("INSERT INTO t VALUES (1)").await?;
        setup.captured().await?;
        says(&setup.capture, 1, "the snapshot was given up: ").await?;
        one_slot(&setup).await?;
        setup.master.execute("INSERT INTO t VALUES (2)").await?;
        setup.captured().await?;
        writer.batch_execute("COMMIT").await?;
        says(&setup.capture, 1, "the relay has the snapshot at").await?;
        let terminal = setup.sqlite("till")?;
        setup.all_equal(&[&terminal]).await
    });
}

/// Stopped in order while it waits for the slot: the half-made slot goes too.
#[test]
fn stopped_while_its_slot_is_made_it_leaves_none() {
    test(async {
        let cluster = alone().await?;
        let mut setup =
            Setup::on(&cluster, "CREATE TABLE t (id int PRIMARY KEY)", Options::default()).await?;
        let writer = setup.master.connect().await?;
        writer.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await?;
        ask(&setup, &[]).await?;
        says(&setup.capture, 1, "waits for transactions that are open: PID").await?;
        let done = setup.capture.stop().await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        one_slot(&setup).await?;
        let active = format!(
            "SELECT 1 FROM pg_replication_slots WHERE slot_name = '{}' AND active",
            slot_of(&setup.master)
        );
        eventually("nobody uses it", LIMIT, async || {
            Ok(setup.master.value(&active).await?.is_none())
        })
        .await?;
        writer.batch_execute("COMMIT").await?;
        Ok(())
    });
}

/// The one who needs a table goes first, be it the very one that the slot waits for.
#[test]
fn an_application_does_not_wait_for_a_snapshot() {
    test(async {
        let cluster = alone().await?;
        let setup = Setup::on(&cluster, MUCH, Options::default()).await?;
        ask(&setup, &[]).await?;
        says(&setup.capture, 1, "the snapshot is at").await?;
        setup.relay.pause()?;
        setup.master.execute("SET lock_timeout = '30s'; TRUNCATE small").await?;
        setup.relay.resume()?;
        says(&setup.capture, 1, "it was in the way of an application: PID").await?;

        says(&setup.capture, 1, "the relay has the snapshot at").await?;
        let writer = setup.master.connect().await?;
        writer
            .batch_execute("SET lock_timeout = '30s'; BEGIN; INSERT INTO small VALUES (1, 'a')")
            .await?;
        ask(&setup, &[]).await?;
        says(&setup.capture, 1, "waits for transactions that are open: PID").await?;
        writer.batch_execute("ALTER TABLE big ADD CHECK (id > 0); COMMIT").await?;
        says(&setup.capture, 2, "it was in the way of an application: PID").await?;
        says(&setup.capture, 2, "the relay has the snapshot at").await?;
        one_slot(&setup).await?;
        let terminal = setup.sqlite("till")?;
        setup.all_equal(&[&terminal]).await
    });
}

/// Nor does it come into a deadlock with one, which the server might end in its stead.
#[test]
fn a_table_that_is_in_use_is_not_waited_for() {
    test(async {
        let cluster = alone().await?;
        let setup = Setup::on(
            &cluster,
            "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)",
            Options::default(),
        )
        .await?;
        // Its start looks at the tables, and would wait.
        says(&setup.capture, 1, "following the slot").await?;
        let writer = setup.master.connect().await?;
        writer.batch_execute("BEGIN; LOCK TABLE u IN ACCESS EXCLUSIVE MODE").await?;
        ask(&setup, &[]).await?;
        says(&setup.capture, 1, "the snapshot was given up: ").await?;
        let said = setup.capture.stderr();
        // On PostgreSQL 18 looking at the publication waits for the table already, up to its limit.
        let why = ["could not obtain lock on relation", "the master did not answer within"];
        assert!(why.iter().any(|why| said.contains(why)), "{said}");
        writer.batch_execute("TRUNCATE t; COMMIT").await?;
        says(&setup.capture, 1, "the relay has the snapshot at").await
    });
}

/// A copy belongs to the session that streams: with the stream's connection it ends, and nothing of it is
/// kept at the relay once a snapshot came.
#[test]
fn a_stream_that_breaks_takes_its_copy_with_it() {
    test(async {
        let cluster = alone().await?;
        let setup = Setup::on(&cluster, MUCH, Options::default()).await?;
        ask(&setup, &[]).await?;
        says(&setup.capture, 1, "the snapshot is at").await?;
        let slot = slot_of(&setup.master);
        let end = format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{slot}'"
        );
        setup.master.execute(&end).await?;
        says(&setup.capture, 2, "following the slot").await?;
        says(&setup.capture, 1, "the relay has the snapshot at").await?;
        one_slot(&setup).await?;
        let terminal = setup.postgres("store").await?;
        setup.all_equal(&[&terminal]).await?;
        let listed = list(&setup.relay).await?.snapshots;
        let tables = listed.iter().flat_map(|snapshot| &snapshot.tables);
        let named: BTreeSet<_> =
            tables.flat_map(|table| &table.objects).map(|object| object.name.to_string()).collect();
        assert_eq!(stored(&setup.relay.data_dir().join(SOURCE).join("objects"))?, named);
        Ok(())
    });
}

/// The names of all objects below the folder.
fn stored(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().is_dir() {
            names.extend(stored(&entry.path())?);
        } else {
            names.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}
