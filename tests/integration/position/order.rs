//! The order of commits, and what else has a place in it.

use std::time::Duration;

use anyhow::Result;
use harness::{Cluster, rng, test};
use rand::Rng;

use crate::{
    history,
    setup::{Options, Setup},
};

/// PITFALLS 5: begun A, B and committed B, A, with rows in between; capture is killed on the way.
#[test]
fn order_is_that_of_commits_not_of_beginnings() {
    test(async {
        let mut rng = rng("interleaved");
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY, n int)").await?;
        let (a, b) = (setup.master.connect().await?, setup.master.connect().await?);
        let mut expected = Vec::new();
        for round in 0..25 {
            let [first, second, last] = [round * 10, round * 10 + 1, round * 10 + 2];
            a.batch_execute(&format!("BEGIN; INSERT INTO t VALUES ({first})")).await?;
            b.batch_execute(&format!("BEGIN; INSERT INTO t VALUES ({second}); COMMIT")).await?;
            a.batch_execute(&format!("INSERT INTO t VALUES ({last}); COMMIT")).await?;
            expected.extend([second, first, last].map(|id| id.to_string()));
            if rng.random_bool(0.2) {
                setup.kill_capture()?;
            }
        }
        setup.captured().await?;
        let runs = history::read(&setup.relay, None).await?;
        assert_eq!(history::inserted(&runs, "t"), expected);
        let xids: Vec<u32> =
            runs.iter().filter(|run| run.channel == "default").map(|run| run.xid).collect();
        assert!(xids.windows(2).any(|pair| pair[0] > pair[1]), "nothing was interleaved: {xids:?}");
        let terminal = setup.postgres("store").await?;
        setup.all_equal(&[&terminal]).await
    });
}

/// PITFALLS 6: thousands of rows of a COPY, or of one INSERT, share a position.
#[test]
fn many_rows_at_one_position_are_all_there_once() {
    test(async {
        let mut rng = rng("copies");
        let options = Options { capture: &["--keyless", "full"], config: None };
        let cluster = Cluster::shared().await?;
        let mut setup = Setup::on(cluster, "CREATE TABLE bag (n int, t text)", options).await?;
        for round in 0..6 {
            let sql = if round % 2 == 0 {
                format!(
                    "INSERT INTO bag SELECT n, 'row' FROM generate_series(1, {}) n",
                    2000 + round
                )
            } else {
                format!("COPY bag FROM PROGRAM 'seq 1 3000 | sed \"s/$/\\tcopied {round}/\"'")
            };
            setup.master.execute(&sql).await?;
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..60))).await;
            setup.kill_capture()?;
        }
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// PITFALLS 4 and 37: messages outside transactions have a place of their own, also those of a
/// transaction that was rolled back; what was rolled back has none.
#[test]
fn messages_travel_and_what_was_rolled_back_does_not() {
    test(async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let steps = [
            "SELECT pg_logical_emit_message(false, 'shop', 'alone')",
            "BEGIN; INSERT INTO t VALUES (1); SELECT pg_logical_emit_message(false, 'shop', 'before its neighbours');
             SELECT pg_logical_emit_message(true, 'shop', 'with its neighbours'); COMMIT",
            "BEGIN; INSERT INTO t VALUES (2); SELECT pg_logical_emit_message(false, 'shop', 'though rolled back');
             SELECT pg_logical_emit_message(true, 'shop', 'never'); ROLLBACK",
            "BEGIN; INSERT INTO t VALUES (3); SAVEPOINT s; INSERT INTO t VALUES (4);
             SELECT pg_logical_emit_message(true, 'shop', 'never'); ROLLBACK TO s; INSERT INTO t VALUES (5); COMMIT",
            "BEGIN; INSERT INTO t VALUES (6); PREPARE TRANSACTION 'gone in {db}'; ROLLBACK PREPARED 'gone in {db}'",
            "BEGIN; INSERT INTO t VALUES (7); PREPARE TRANSACTION 'kept in {db}'; COMMIT PREPARED 'kept in {db}'",
            "CREATE TEMPORARY TABLE temporary (id int PRIMARY KEY); INSERT INTO temporary VALUES (8)",
            "CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY); INSERT INTO unlogged VALUES (9)",
            "SELECT pg_logical_emit_message(false, 'shop', 'long ' || repeat('x', 300000))",
            "SELECT pg_logical_emit_message(true, 'shop', 'last')",
        ];
        let client = setup.master.connect().await?;
        for (number, sql) in steps.iter().enumerate() {
            let sql = sql.replace("{db}", setup.master.name());
            // One by one: PREPARE TRANSACTION ends the block that it stands in.
            for statement in sql.split(';') {
                client.batch_execute(statement).await?;
            }
            if number % 3 == 1 {
                setup.captured().await?;
                setup.kill_capture()?;
            }
        }
        setup.captured().await?;
        setup.kill_capture()?;
        setup.captured().await?;
        let runs = history::read(&setup.relay, None).await?;
        assert_eq!(history::inserted(&runs, "t"), ["1", "3", "5", "7"]);
        let mut messages: Vec<String> = runs.iter().flat_map(|run| run.messages("shop")).collect();
        for message in &mut messages {
            message.truncate(30);
        }
        let long = format!("long {}", "x".repeat(25));
        let expected = [
            "alone",
            "before its neighbours",
            "with its neighbours",
            "though rolled back",
            &long,
            "last",
        ];
        assert_eq!(messages, expected);
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
            terminal.equals(&setup.master, &harness::Tables::only(&["public.t"])).await?;
        }
        Result::Ok(())
    });
}
