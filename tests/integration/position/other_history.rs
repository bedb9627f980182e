//! What stands at the two ends does not belong together: refused, by name, with what to do. Never a
//! silent skip (PITFALLS 1, 11, 44; invariants 5 and 10).

use anyhow::Result;
use harness::{Cluster, Database, Finished, RelayProcess, Scratch, Shutdown, eventually, test};

use super::{backup::Backup, own_cluster::confirmed_at};
use crate::{
    ending::says,
    setup::{LIMIT, Options, SOURCE, Setup, capture_command, slot_of},
};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY)";

/// A capture that has to refuse.
async fn refused(master: &Database, relay: &RelayProcess, words: &[&str]) -> Result<Finished> {
    let done = capture_command(master, &relay.url())?.run(LIMIT).await?;
    says(&done, 3, words);
    Ok(done)
}

async fn state(relay: &RelayProcess) -> Result<String> {
    Ok(relay.lag(SOURCE).await?.capture.state)
}

async fn insert(setup: &Setup, ids: std::ops::Range<u32>) -> Result<()> {
    let client = setup.master.connect().await?;
    for id in ids {
        client.batch_execute(&format!("INSERT INTO t VALUES ({id})")).await?;
    }
    Ok(())
}

/// The master's data folder as it is now; master and relay go on from there.
async fn backed_up(cluster: &mut Cluster, setup: &mut Setup) -> Result<Backup> {
    setup.capture.stop().await?;
    cluster.stop(Shutdown::Fast).await?;
    let backup = Backup::take(&cluster.data_dir())?;
    cluster.start().await?;
    setup.capture.start()?;
    insert(setup, 100..140).await?;
    setup.captured().await?;
    Ok(backup)
}

#[test]
fn an_older_store_of_the_relay_is_refused_and_a_removed_one_too() {
    test(async {
        let cluster = Cluster::shared().await?;
        let master = cluster.database().await?;
        master.execute(TABLE).await?;
        let folder = Scratch::new("relay")?;
        let data = folder.path().join("data");
        let relay = RelayProcess::builder().data_dir(&data).start().await?;
        let mut setup = Setup::with(master, relay, Options::default()).await?;
        insert(&setup, 1..5).await?;
        let old = setup.captured().await?;
        setup.relay.stop().await?;
        let backup = Backup::take(&data)?;
        setup.relay.start()?;
        setup.relay.wait_ready().await?;
        insert(&setup, 5..10).await?;
        setup.captured().await?;
        // Behind what the copy can have: progress may be in it that ends behind its last commit.
        insert(&setup, 10..12).await?;
        setup.captured().await?;
        confirmed_at(&setup, old, LIMIT).await?;
        setup.capture.kill()?;
        setup.relay.kill()?;
        let confirmed = setup.confirmed().await?;

        backup.put_back()?;
        setup.relay.start()?;
        setup.relay.wait_ready().await?;
        let head = setup.relay.head(SOURCE).await?;
        assert!(head < confirmed, "the test proves nothing: {head}, {confirmed}");
        let words = [slot_of(&setup.master), head.to_string(), confirmed.to_string()];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        refused(&setup.master, &setup.relay, &words).await?;
        let done = refused(
            &setup.master,
            &setup.relay,
            &["older state of the relay", "tailwater-capture adopt"],
        )
        .await?;
        assert_eq!(state(&setup.relay).await?, "relay-behind-slot", "{}", done.stderr);
        assert_eq!(setup.relay.head(SOURCE).await?, head, "it went on after all");

        // The folder is gone, and capture runs while it goes.
        setup.relay.kill()?;
        std::fs::remove_dir_all(&data)?;
        setup.relay.start()?;
        setup.relay.wait_ready().await?;
        refused(
            &setup.master,
            &setup.relay,
            &["has nothing of this source", "tailwater-capture remove"],
        )
        .await?;
        assert_eq!(setup.confirmed().await?, confirmed, "the slot was moved or made anew");
        Ok(())
    });
}

#[test]
fn a_relay_emptied_under_a_running_capture_stops_it() {
    test(async {
        let mut setup = Setup::shared(TABLE).await?;
        insert(&setup, 1..4).await?;
        setup.captured().await?;
        setup.relay.kill()?;
        std::fs::remove_dir_all(setup.relay.data_dir())?;
        setup.relay.start()?;
        setup.relay.wait_ready().await?;
        insert(&setup, 4..6).await?;
        let done = setup.capture.wait(LIMIT).await?;
        says(&done, 3, &["has nothing of this source", &slot_of(&setup.master)]);
        Ok(())
    });
}

#[test]
fn a_slot_that_was_dropped_or_made_again_is_refused() {
    test(async {
        let mut setup = Setup::shared(TABLE).await?;
        let slot = slot_of(&setup.master);
        insert(&setup, 1..4).await?;
        setup.captured().await?;
        setup.capture.stop().await?;
        setup.master.drop_slot(&slot).await?;
        refused(
            &setup.master,
            &setup.relay,
            &[&slot, "not there any more", "tailwater-capture adopt"],
        )
        .await?;
        assert_eq!(state(&setup.relay).await?, "slot-missing");

        insert(&setup, 4..6).await?;
        let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        setup.master.value(&make).await?;
        refused(&setup.master, &setup.relay, &[&slot, "cannot be had again"]).await?;
        assert_eq!(state(&setup.relay).await?, "relay-behind-slot");
        Ok(())
    });
}

/// Dropped while capture follows it: the server ends the stream, and the next attempt sees why.
#[test]
fn a_slot_dropped_under_a_running_capture_stops_it() {
    test(async {
        let mut setup = Setup::shared(TABLE).await?;
        let slot = slot_of(&setup.master);
        insert(&setup, 1..4).await?;
        setup.captured().await?;
        let drop = format!(
            "SELECT pg_terminate_backend(active_pid, 5000), pg_drop_replication_slot(slot_name)
             FROM pg_replication_slots WHERE slot_name = '{slot}'"
        );
        // Capture is quick to take it again.
        eventually("the slot is dropped", LIMIT, async || {
            Ok(setup.master.value(&drop).await.is_ok())
        })
        .await?;
        let done = setup.capture.wait(LIMIT).await?;
        // Where capture was about to take it again, the server says so; else capture sees it before.
        let word =
            if done.stderr.contains("does not exist") { "dropped" } else { "not there any more" };
        says(&done, 3, &[&slot, word]);
        assert_eq!(state(&setup.relay).await?, "slot-missing");
        Ok(())
    });
}

#[test]
fn slots_of_another_kind_or_database_are_not_touched() {
    test(async {
        let cluster = Cluster::shared().await?;
        let (master, other) = (cluster.database().await?, cluster.database().await?);
        let slot = slot_of(&master);
        let relay = RelayProcess::builder().start().await?;
        let make =
            |plugin| format!("SELECT pg_create_logical_replication_slot('{slot}', '{plugin}')");
        let drop = format!("SELECT pg_drop_replication_slot('{slot}')");
        master.value(&make("test_decoding")).await?;
        refused(&master, &relay, &[&slot, "test_decoding", "--slot"]).await?;
        master.value(&drop).await?;
        other.value(&make("pgoutput")).await?;
        refused(&master, &relay, &[&slot, other.name(), "--slot"]).await?;
        // A slot that nobody here made, and a relay that knows nothing of it.
        other.value(&drop).await?;
        master.value(&make("pgoutput")).await?;
        refused(&master, &relay, &[&slot, "has nothing of this source"]).await?;
        assert_eq!(super::own_cluster::slots(&master).await?, "1");
        Ok(())
    });
}

/// The master's data folder as it was, put back: behind the relay, and later past it on another way.
#[test]
fn a_master_restored_from_a_backup_is_found_out() {
    test(async {
        let mut cluster = Cluster::new().await?;
        let mut setup = Setup::on(&cluster, TABLE, Options::default()).await?;
        insert(&setup, 1..5).await?;
        setup.captured().await?;
        let backup = backed_up(&mut cluster, &mut setup).await?;
        setup.capture.kill()?;
        let head = setup.relay.head(SOURCE).await?;
        cluster.stop(Shutdown::Fast).await?;

        backup.put_back()?;
        cluster.start().await?;
        assert!(setup.position().await? < head, "the test proves nothing");
        refused(&setup.master, &setup.relay, &[&head.to_string(), "put back to an older state"])
            .await?;
        assert_eq!(state(&setup.relay).await?, "master-behind-relay");

        // It goes its own way, past where the relay is.
        let other_way = "INSERT INTO t SELECT n FROM generate_series(1000, 2000) n";
        setup.master.execute(other_way).await?;
        assert!(setup.position().await? > head);
        for _ in 0..2 {
            refused(
                &setup.master,
                &setup.relay,
                &["put back to an older state", "tailwater-capture adopt"],
            )
            .await?;
            assert_eq!(state(&setup.relay).await?, "other-history");
        }
        assert_eq!(setup.relay.head(SOURCE).await?, head, "something of it was stored");
        Ok(())
    });
}

/// The same under a capture that runs on: it must not take the restored master for the old one.
#[test]
fn a_restore_under_a_running_capture_is_found_out_too() {
    test(async {
        let mut cluster = Cluster::new().await?;
        let mut setup = Setup::on(&cluster, TABLE, Options::default()).await?;
        insert(&setup, 1..5).await?;
        setup.captured().await?;
        let backup = backed_up(&mut cluster, &mut setup).await?;
        let head = setup.relay.head(SOURCE).await?;
        cluster.kill()?;
        backup.put_back()?;
        cluster.start().await?;
        let done = setup.capture.wait(LIMIT).await?;
        says(&done, 3, &["put back to an older state"]);
        assert!(
            ["master-behind-relay", "other-history"].contains(&state(&setup.relay).await?.as_str())
        );
        assert_eq!(setup.relay.head(SOURCE).await?, head);
        Ok(())
    });
}

/// A promoted standby serves if it has all that the relay has; the slot came with its data folder.
#[test]
fn after_a_promotion_the_timeline_decides() {
    test(async {
        let mut cluster = Cluster::new().await?;
        let mut setup = Setup::on(&cluster, TABLE, Options::default()).await?;
        insert(&setup, 1..5).await?;
        setup.captured().await?;
        promote(&mut cluster, &setup.master).await?;
        insert(&setup, 5..8).await?;
        setup.captured().await?;
        assert!(setup.capture.is_running()?, "{}", setup.capture.stderr());

        let lagging = backed_up(&mut cluster, &mut setup).await?;
        setup.capture.kill()?;
        let head = setup.relay.head(SOURCE).await?;
        cluster.stop(Shutdown::Fast).await?;
        lagging.put_back()?;
        cluster.start().await?;
        promote(&mut cluster, &setup.master).await?;
        setup.master.execute("INSERT INTO t SELECT n FROM generate_series(1000, 2000) n").await?;
        refused(&setup.master, &setup.relay, &["timeline", &head.to_string(), "promoted"]).await?;
        assert_eq!(state(&setup.relay).await?, "other-history");
        Ok(())
    });
}

/// Stops the server, lets it come back as a standby, and promotes that.
async fn promote(cluster: &mut Cluster, database: &Database) -> Result<()> {
    cluster.stop(Shutdown::Fast).await?;
    std::fs::write(cluster.data_dir().join("standby.signal"), "")?;
    cluster.start().await?;
    let promoted = database.value("SELECT pg_promote(true, 30)").await?;
    assert_eq!(promoted.as_deref(), Some("t"));
    Ok(())
}

#[test]
fn another_master_or_database_is_refused() {
    test(async {
        let mut setup = Setup::shared(TABLE).await?;
        setup.captured().await?;
        setup.capture.stop().await?;
        let head = setup.relay.head(SOURCE).await?;
        let stranger = Cluster::builder().without_fsync().with_own_identity().start().await?;
        let sibling = Cluster::shared().await?.database().await?;
        let stranger = stranger.database().await?;
        let ours = setup.master.name().to_owned();
        for other in [&stranger, &sibling] {
            other.execute(TABLE).await?;
            let what = ["another", &ours, other.name(), "under", "name"];
            refused(other, &setup.relay, &what).await?;
            assert_eq!(super::own_cluster::slots(other).await?, "0", "a slot was left behind");
            // With a slot of that name it is the same.
            let make = format!(
                "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
                slot_of(other)
            );
            other.value(&make).await?;
            refused(other, &setup.relay, &what).await?;
            assert_eq!(state(&setup.relay).await?, "other-master");
        }
        assert_eq!(setup.relay.head(SOURCE).await?, head);
        // The right one is still welcome.
        setup.capture.start()?;
        insert(&setup, 1..3).await?;
        setup.captured().await.map(drop)
    });
}
