//! `--on-lost-slot`.

use anyhow::Result;
use harness::{Cluster, eventually, test};

use super::{
    CHANGES, RESNAPSHOT, TABLES, begun_anew, capture_again, followed, lineage, lose_slot, stops,
};
use crate::{
    ending::says,
    setup::{LIMIT, Options, SOURCE, Setup, Terminal, slot_of},
};

/// Entries of the source's folder at the relay.
fn stored(setup: &Setup) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(setup.relay.data_dir().join(SOURCE))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_by_key(|name| name == "LOG");
    Ok(names)
}

/// A server that keeps little WAL for a slot.
pub(super) async fn cluster() -> Result<Cluster> {
    let cluster = Cluster::builder().without_fsync().setting("max_slot_wal_keep_size", "2MB");
    cluster.setting("max_wal_size", "32MB").setting("min_wal_size", "32MB").start().await
}

/// Writes until the server has invalidated the slot.
pub(super) async fn invalidate(setup: &Setup) -> Result<()> {
    let lost = "SELECT 1 FROM pg_replication_slots WHERE wal_status = 'lost'";
    eventually("the slot is lost", LIMIT, async || {
        let table = "CREATE TABLE f AS SELECT repeat('f', 500) FROM generate_series(1, 20000)";
        for sql in [table, "DROP TABLE f", "SELECT pg_switch_wal()", "CHECKPOINT"] {
            setup.master.execute(sql).await?;
        }
        Ok(setup.master.value(lost).await?.is_some())
    })
    .await
}

/// Tables whose first change is noted.
async fn seen(terminal: &Terminal) -> Result<Option<String>> {
    let table = if terminal.is_sqlite() { "tailwater_seen" } else { "tailwater.seen" };
    terminal.value(&format!("SELECT count(*) FROM {table}")).await
}

#[test]
fn after_a_lost_slot_all_are_equal_again_without_a_hand() {
    test(async {
        let mut setup = Setup::shared(TABLES).await?;
        let (store, till) = (setup.postgres("store").await?, setup.sqlite("till")?);
        setup.all_equal(&[&store, &till]).await?;
        setup.master.execute(CHANGES).await?;
        setup.all_equal(&[&store, &till]).await?;
        let before = lineage(&setup).await?;
        lose_slot(&mut setup).await?;

        let slot = slot_of(&setup.master);
        let words = [&slot, "not there any more", "tailwater-capture adopt", "--on-lost-slot"];
        says(&stops(&setup).await?, 3, &words);
        assert_eq!(setup.relay.lag(SOURCE).await?.capture.state, "slot-missing");
        assert_eq!(lineage(&setup).await?, before, "nobody said so");
        setup.pull(&store).await?;

        capture_again(&mut setup, &RESNAPSHOT)?;
        let now = begun_anew(&setup, &before).await?;
        for terminal in [&store, &till] {
            assert_eq!(followed(terminal).await?, before);
            assert_ne!(seen(terminal).await?.as_deref(), Some("0"), "the test proves nothing");
            let done = setup.pull(terminal).await?;
            let words = ["history begins anew", &before, &now, "not there any more"];
            says(&done, 0, &words);
            assert_eq!(followed(terminal).await?, now);
            assert_eq!(seen(terminal).await?.as_deref(), Some("0"), "positions of the old one");
        }
        // The stream goes on from there, and a new terminal starts from it.
        setup.master.execute(CHANGES).await?;
        let fresh = setup.sqlite("fresh")?;
        setup.all_equal(&[&store, &till, &fresh]).await?;
        let lag = setup.relay.lag(SOURCE).await?;
        for name in ["store", "till"] {
            let of = lag.terminals.iter().find(|terminal| terminal.name == name);
            assert!(of.is_some_and(|of| of.error.is_none()), "{name} is not known: {lag:?}");
        }
        eventually("the earlier log's room is given back", LIMIT, async || {
            Ok(stored(&setup)? == [now.clone(), "LOG".to_owned()])
        })
        .await?;
        setup.relay.kill_and_restart().await?;
        setup.master.execute(CHANGES).await?;
        setup.all_equal(&[&store, &till, &fresh]).await
    });
}

#[test]
fn a_slot_dropped_under_a_running_capture_too() {
    test(async {
        let options = Options { capture: &RESNAPSHOT, config: None };
        let setup = Setup::on(Cluster::shared().await?, TABLES, options).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        let before = lineage(&setup).await?;
        let drop = format!(
            "SELECT pg_terminate_backend(active_pid, 5000), pg_drop_replication_slot(slot_name)
             FROM pg_replication_slots WHERE slot_name = '{}'",
            slot_of(&setup.master)
        );
        eventually("the slot is dropped", LIMIT, async || {
            Ok(setup.master.value(&drop).await.is_ok())
        })
        .await?;
        setup.master.execute(CHANGES).await?;
        begun_anew(&setup, &before).await?;
        setup.master.execute(CHANGES).await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

#[test]
fn an_invalidated_slot_is_answered_so_too() {
    test(async {
        let cluster = cluster().await?;
        let mut setup = Setup::on(&cluster, TABLES, Options::default()).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        let before = lineage(&setup).await?;
        setup.capture.kill()?;
        setup.master.execute(CHANGES).await?;
        invalidate(&setup).await?;
        let words = ["invalidated", "tailwater-capture adopt", "--on-lost-slot resnapshot"];
        says(&stops(&setup).await?, 3, &words);
        assert_eq!(setup.relay.lag(SOURCE).await?.capture.state, "slot-lost");
        capture_again(&mut setup, &RESNAPSHOT)?;
        begun_anew(&setup, &before).await?;
        setup.master.execute(CHANGES).await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// Schema changes of the history that ended are no part of the one that begins.
#[test]
fn with_schema_changes_recorded() {
    test(async {
        let options = Options { capture: &["--ddl"], config: None };
        let mut setup = Setup::on(Cluster::shared().await?, TABLES, options).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        setup.master.execute("ALTER TABLE t ADD COLUMN one int DEFAULT 1").await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        let before = lineage(&setup).await?;
        lose_slot(&mut setup).await?;
        // Recorded, and never sent: a column, a table, a rewrite.
        setup
            .master
            .execute(
                "ALTER TABLE t ADD COLUMN two int DEFAULT 2; CREATE TABLE other (id int PRIMARY KEY);
                 INSERT INTO other VALUES (1), (2); ALTER TABLE t ALTER COLUMN n TYPE bigint USING n * 2",
            )
            .await?;
        capture_again(&mut setup, &["--ddl", "--on-lost-slot", "resnapshot"])?;
        begun_anew(&setup, &before).await?;
        let records = setup.master.value("SELECT count(*) FROM tailwater.schema_changes").await?;
        assert_eq!(records.as_deref(), Some("0"), "records of the history that ended");
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        let more = "ALTER TABLE t ADD COLUMN three int DEFAULT 3; INSERT INTO other VALUES (3);
            CREATE TABLE third (id int PRIMARY KEY); INSERT INTO third VALUES (7)";
        setup.master.execute(more).await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// A slot that is named by mistake is not a lost one: the history's own is there.
#[test]
fn a_slot_of_another_name_is_not_taken_for_a_lost_one() {
    test(async {
        let mut setup = Setup::shared(TABLES).await?;
        setup.captured().await?;
        setup.capture.stop().await?;
        let (before, slot) = (lineage(&setup).await?, slot_of(&setup.master));
        let mistyped = format!("{slot}_x");
        let capture = harness::capture(setup.master.url(), SOURCE, &setup.relay.url())?;
        let done = capture.args(["--slot", &mistyped]).args(RESNAPSHOT).run(LIMIT).await?;
        says(&done, 3, &[&format!("'{mistyped}'"), &format!("'{slot}'"), "--slot"]);
        eventually("the relay takes it for gone", LIMIT, async || {
            Ok(setup.relay.lag(SOURCE).await?.capture.state != "streaming")
        })
        .await?;
        let adopt = super::adopt_by(&setup, &mistyped)?.arg("--yes");
        says(
            &adopt.run(LIMIT).await?,
            3,
            &[&format!("'{mistyped}'"), &format!("'{slot}'"), "Nothing was changed"],
        );
        assert_eq!(lineage(&setup).await?, before);
        capture_again(&mut setup, &[])?;
        setup.master.execute(CHANGES).await?;
        setup.captured().await.map(drop)
    });
}

/// More than a slot is lost where the master lacks what the relay has: that needs a word of its own.
#[test]
fn a_master_that_was_put_back_is_not_taken_for_a_lost_slot() {
    test(async {
        let mut cluster = Cluster::new().await?;
        let mut setup = Setup::on(&cluster, TABLES, Options::default()).await?;
        setup.captured().await?;
        setup.capture.stop().await?;
        cluster.stop(harness::Shutdown::Fast).await?;
        let backup = crate::position::backup::Backup::take(&cluster.data_dir())?;
        cluster.start().await?;
        setup.capture.start()?;
        setup.master.execute(CHANGES).await?;
        setup.captured().await?;
        let before = lineage(&setup).await?;
        setup.capture.kill()?;
        cluster.stop(harness::Shutdown::Fast).await?;
        backup.put_back()?;
        cluster.start().await?;
        setup.master.drop_slot(&slot_of(&setup.master)).await?;
        let capture = crate::setup::capture_command(&setup.master, &setup.relay.url())?;
        let done = capture.args(RESNAPSHOT).run(LIMIT).await?;
        says(&done, 3, &["put back to an older state", "tailwater-capture adopt"]);
        assert_eq!(setup.relay.lag(SOURCE).await?.capture.state, "master-behind-relay");
        assert_eq!(lineage(&setup).await?, before);
        Ok(())
    });
}
