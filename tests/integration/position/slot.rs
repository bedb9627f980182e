//! The slot itself: lost, held by somebody else, held by a capture that hangs.

use std::time::Duration;

use harness::{eventually, test};

use super::own_cluster::{quick, walsender};
use crate::{
    ending::says,
    history,
    setup::{LIMIT, Options, SOURCE, Setup, capture_command, slot_of},
};

#[test]
fn an_invalidated_slot_is_lost_by_name() {
    test(async {
        let cluster = quick().setting("max_slot_wal_keep_size", "1MB").start().await?;
        let sql = "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (n int, t text)";
        let args = ["--tables", "public.t"];
        let options = Options { capture: &args, config: None };
        let mut setup = Setup::on(&cluster, sql, options).await?;
        setup.master.execute("INSERT INTO t VALUES (1)").await?;
        setup.captured().await?;
        setup.capture.stop().await?;
        let status = "SELECT wal_status FROM pg_replication_slots";
        eventually("the slot is lost", LIMIT, async || {
            setup
                .master
                .execute(
                    "INSERT INTO other SELECT n, repeat('f', 900) FROM generate_series(1, 9000) n",
                )
                .await?;
            setup.master.value("SELECT pg_switch_wal()").await?;
            setup.master.execute("CHECKPOINT").await?;
            Ok(setup.master.value(status).await?.as_deref() == Some("lost"))
        })
        .await?;
        let done =
            capture_command(&setup.master, &setup.relay.url())?.args(args).run(LIMIT).await?;
        let slot = slot_of(&setup.master);
        says(
            &done,
            3,
            &[&slot, "invalidated", "max_slot_wal_keep_size", "tailwater-capture adopt"],
        );
        assert_eq!(setup.relay.lag(SOURCE).await?.capture.state, "slot-lost");
        let check_args =
            ["check", "--source", setup.master.url(), "--name", SOURCE, "--slot", &slot];
        let check = harness::ProcessBuilder::new("check", harness::binary("tailwater-capture")?);
        let found = check.args(check_args).run(LIMIT).await?;
        assert_eq!(found.code, 3, "{}", found.stdout);
        assert!(found.stdout.contains("invalidated"), "{}", found.stdout);
        let drop = format!("SELECT pg_drop_replication_slot('{slot}');");
        assert!(found.stdout.contains(&drop), "{}", found.stdout);
        Ok(())
    });
}

/// PITFALLS 12 and 43: a capture hangs with the slot in its hands (its machine sleeps). The next one
/// waits and says so, takes over once the server has given the first up, and the first, awake again,
/// appends nothing.
#[test]
fn a_slot_held_by_a_capture_that_hangs_is_waited_for_and_taken_over() {
    test(async {
        let cluster = quick().setting("wal_sender_timeout", "4s").start().await?;
        let sql = "CREATE TABLE t (id int PRIMARY KEY)";
        let mut setup = Setup::on(&cluster, sql, Options::default()).await?;
        setup.master.execute("INSERT INTO t VALUES (1)").await?;
        setup.captured().await?;
        let held_by = walsender(&setup.master).await?.unwrap_or_default();
        setup.capture.pause()?;
        setup.master.execute("INSERT INTO t VALUES (2)").await?;
        let mut second = capture_command(&setup.master, &setup.relay.url())?.spawn()?;
        eventually("it says whom it waits for", LIMIT, async || {
            assert!(second.is_running()?, "{}", second.stderr());
            let said = second.stderr();
            Ok(said.contains("in use") && said.contains(&held_by) && said.contains("aiting"))
        })
        .await?;
        setup.captured().await?;
        assert_ne!(walsender(&setup.master).await?, Some(held_by));

        setup.capture.resume()?;
        for id in 3..20 {
            setup.master.execute(&format!("INSERT INTO t VALUES ({id})")).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        setup.captured().await?;
        assert!(second.is_running()?, "{}", second.stderr());
        second.stop().await?;
        setup.master.execute("INSERT INTO t VALUES (20)").await?;
        // The first waits for its turn, or has left because a newer one took over. It is started again
        // as a service manager would.
        if !setup.capture.is_running()? {
            setup.capture.start()?;
        }
        setup.captured().await?;
        let expected: Vec<String> = (1..=20).map(|id| id.to_string()).collect();
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "t");
        assert_eq!(ids, expected);
        Ok(())
    });
}

/// The state that the relay shows while it waits.
#[test]
fn waiting_for_the_slot_is_a_state() {
    test(async {
        let cluster = quick().start().await?;
        let mut setup =
            Setup::on(&cluster, "CREATE TABLE t (id int PRIMARY KEY)", Options::default()).await?;
        setup.captured().await?;
        setup.capture.stop().await?;
        let url = setup.master.url().to_owned();
        // The slot is read, not moved: nothing is confirmed by this.
        let mut holder =
            harness::ProcessBuilder::new("holder", harness::pg_bin_dir()?.join("pg_recvlogical"))
                .args([
                    "--start",
                    "--slot",
                    &slot_of(&setup.master),
                    "--dbname",
                    &url,
                    "--file",
                    "/dev/null",
                ])
                .args(["--fsync-interval", "0", "--status-interval", "0"])
                .args(["-o", "proto_version=1", "-o", "publication_names=tailwater_orders"])
                .spawn()?;
        eventually("it holds the slot", LIMIT, async || {
            assert!(holder.is_running()?, "{}", holder.stderr());
            Ok(walsender(&setup.master).await?.is_some())
        })
        .await?;
        setup.capture.start()?;
        eventually("the state is waiting-for-slot", LIMIT, async || {
            let capture = setup.relay.lag(SOURCE).await?.capture;
            Ok(capture.state == "waiting-for-slot" && capture.error.is_some())
        })
        .await?;
        assert!(setup.capture.is_running()?);
        let asked_to_stop = setup.capture.stop().await?;
        assert_eq!(asked_to_stop.code, 0, "{}", asked_to_stop.stderr);
        setup.capture.start()?;
        holder.kill()?;
        setup.master.execute("INSERT INTO t VALUES (1)").await?;
        setup.captured().await?;
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "t");
        assert_eq!(ids, ["1"]);
        Ok(())
    });
}

/// A relay that is new to a source whose slot exists cannot be told from one that was emptied: see
/// `other_history`. Here the other way round: two sources at one relay keep apart.
#[test]
fn two_sources_at_one_relay_keep_apart() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let other = harness::Cluster::shared().await?.database().await?;
        other.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (77)").await?;
        let _second = harness::capture(other.url(), "stock", &setup.relay.url())?
            .args(["--slot", &slot_of(&other)])
            .spawn()?;
        setup.master.execute("INSERT INTO t VALUES (1)").await?;
        other.execute("INSERT INTO t VALUES (78)").await?;
        let end = setup.captured().await?;
        setup.relay.wait_head("stock", end, LIMIT).await?;
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "t");
        assert_eq!(ids, ["1"]);
        assert_ne!(setup.relay.lag(SOURCE).await?.lineage, setup.relay.lag("stock").await?.lineage);
        Ok(())
    });
}
