//! Little or nothing to capture while WAL grows: the slot follows, so that the master's disk does
//! not fill (PITFALLS 9).

use std::time::Duration;

use anyhow::Result;
use harness::{Cluster, RelayProcess, eventually, test};

use super::own_cluster::{follows, quick};
use crate::{
    history,
    setup::{LIMIT, Options, SOURCE, Setup, capture_command},
};

const SOON: Duration = Duration::from_secs(20);

/// Some 3 MB of WAL that holds nothing of interest.
const ELSEWHERE: &str =
    "INSERT INTO elsewhere SELECT n, repeat('f', 500) FROM generate_series(1, 5000) n";

#[test]
fn the_slot_follows_when_only_tables_left_out_or_other_databases_are_written() {
    test(async {
        let cluster = quick().start().await?;
        let args = ["--tables", "public.watched", "--heartbeat-every", "1s"];
        let options = Options { capture: &args, config: None };
        let sql =
            "CREATE TABLE watched (id int PRIMARY KEY); CREATE TABLE elsewhere (n int, t text)";
        let mut setup = Setup::on(&cluster, sql, options).await?;
        for _ in 0..2 {
            setup.master.execute(ELSEWHERE).await?;
            follows(&setup, setup.position().await?).await?;
        }
        let other = cluster.database().await?;
        other.execute("CREATE TABLE elsewhere (n int, t text)").await?;
        other.execute(ELSEWHERE).await?;
        follows(&setup, setup.position().await?).await?;

        // Quiet or not, a restart finds its place.
        setup.kill_capture()?;
        setup.master.execute("INSERT INTO watched VALUES (1)").await?;
        setup.captured().await?;
        let lag = setup.relay.lag(SOURCE).await?;
        assert_eq!(lag.capture.state, "streaming", "{:?}", lag.capture.error);
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "watched");
        assert_eq!(ids, ["1"]);
        // The server decides where it reads from again when it logs which transactions run, at a
        // checkpoint for one, and the slot is behind that.
        eventually("WAL is let go of", SOON, async || {
            setup.master.execute("CHECKPOINT").await?;
            setup.master.execute("UPDATE watched SET id = id + 1").await?;
            let retained = setup.relay.lag(SOURCE).await?.capture.retained_bytes;
            Ok(retained.is_some_and(|bytes| bytes < 1 << 20))
        })
        .await?;
        Ok(())
    });
}

/// A role that may not write messages makes no heartbeats; the slot follows mere progress, and the
/// state says that the history is not proved. A commit proves it again.
#[test]
fn without_heartbeats_progress_serves_and_the_state_says_so() {
    test(async {
        let cluster = Cluster::shared().await?;
        let master = cluster.database().await?;
        let (database, role) = (master.name().to_owned(), format!("mute_{}", master.name()));
        master
            .execute(&format!(
                "CREATE ROLE {role} LOGIN REPLICATION; GRANT CREATE ON DATABASE {database} TO {role};
                 CREATE TABLE watched (id int PRIMARY KEY); ALTER TABLE watched OWNER TO {role};
                 CREATE TABLE elsewhere (n int, t text);
                 DO $$ DECLARE f regprocedure; BEGIN
                   FOR f IN SELECT oid FROM pg_proc WHERE proname = 'pg_logical_emit_message' LOOP
                     EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
                   END LOOP; END $$"
            ))
            .await?;
        let relay = RelayProcess::builder().start().await?;
        let url = cluster.url_as(&role, "", &database);
        let capture = harness::capture(&url, SOURCE, &relay.url())?
            .args(["--slot", &crate::setup::slot_of(&master)])
            .args(["--tables", "public.watched", "--heartbeat-every", "1s"])
            .spawn()?;
        let mut setup = Setup::assembled(master, relay, capture);
        setup.captured().await?;
        setup.master.execute(ELSEWHERE).await?;
        follows(&setup, setup.position().await?).await?;
        let state = async || anyhow::Ok(setup.relay.lag(SOURCE).await?.capture.state);
        eventually("the state is unproved", LIMIT, async || Ok(state().await? == "unproved"))
            .await?;
        assert!(
            setup.capture.stderr().contains("pg_logical_emit_message"),
            "{}",
            setup.capture.stderr()
        );

        setup.kill_capture()?;
        setup.master.execute("INSERT INTO watched VALUES (1)").await?;
        setup.captured().await?;
        let state = async || anyhow::Ok(setup.relay.lag(SOURCE).await?.capture.state);
        eventually("the state is streaming", LIMIT, async || Ok(state().await? == "streaming"))
            .await?;
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "watched");
        assert_eq!(ids, ["1"]);
        Ok(())
    });
}

/// A capture that was stopped in order leaves a slot that a later start takes.
#[test]
fn stopped_in_order_and_started_again_nothing_is_missing() {
    test(async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        for id in 1..=4 {
            setup.master.execute(&format!("INSERT INTO t VALUES ({id})")).await?;
            setup.captured().await?;
            let done = setup.capture.stop().await?;
            assert_eq!(done.code, 0, "{}", done.stderr);
            setup.master.execute(&format!("INSERT INTO t VALUES ({})", id * 100)).await?;
            setup.capture = capture_command(&setup.master, &setup.relay.url())?.spawn()?;
        }
        setup.captured().await?;
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "t");
        assert_eq!(ids, ["1", "100", "2", "200", "3", "300", "4", "400"]);
        Result::Ok(())
    });
}
