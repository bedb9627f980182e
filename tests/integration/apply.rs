//! Terminals: whole transactions with their position, whatever happens around them.

mod conflicts;
mod net_effect;
mod position_row;
mod quarantine;

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Cluster, Direction, Mode, Proxy, Tables, Workload, rng, seed, test};
use rand::Rng;

use crate::setup::{LIMIT, SOURCE, Setup, Terminal};

/// Ten accounts; every transaction moves money between all of them, so the sum never changes and
/// `step` is the same in all rows.
const ACCOUNTS: &str = "
    CREATE TABLE account (id int PRIMARY KEY, money bigint NOT NULL, step int NOT NULL);
    INSERT INTO account SELECT i, 100, 0 FROM generate_series(1, 10) i;
    CREATE TABLE steps (step int)";

async fn move_money(setup: &Setup, times: u32) -> Result<()> {
    let client = setup.master.connect().await?;
    for _ in 0..times {
        client
            .batch_execute(
                "BEGIN; UPDATE account SET money = money + (CASE WHEN id % 2 = 0 THEN id ELSE -(id + 1) END), step = step + 1;
                 INSERT INTO steps SELECT max(step) FROM account; COMMIT",
            )
            .await?;
    }
    Ok(())
}

/// What anybody may see at any moment: one step in all rows, the sum that always was, and a row in
/// the keyless table for each step, no more and no less (a transaction applied twice adds one).
const WHOLE: &str = "SELECT (SELECT count(DISTINCT step) FROM account) || ' ' || (SELECT sum(money) FROM account) || ' '
     || ((SELECT count(*) FROM steps) - (SELECT max(step) FROM account)) || ' '
     || ((SELECT count(DISTINCT step) FROM steps) - (SELECT max(step) FROM account))";

async fn look(terminal: &Terminal) -> Result<()> {
    let seen = terminal.value(WHOLE).await?;
    assert_eq!(
        seen.as_deref(),
        Some("1 1000 0 0"),
        "{} shows part of a transaction",
        terminal.name
    );
    Ok(())
}

#[test]
fn killed_terminals_hold_whole_transactions_and_their_position() {
    test(async {
        let mut rng = rng("terminal kills");
        let options = crate::setup::Options { capture: &["--keyless", "full"], config: None };
        let setup = Setup::on(Cluster::shared().await?, ACCOUNTS, options).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
        }
        for _ in 0..12 {
            move_money(&setup, 40).await?;
            setup.captured().await?;
            for terminal in &terminals {
                let mut run = terminal.command(&setup.relay.url())?.spawn()?;
                tokio::time::sleep(Duration::from_millis(rng.random_range(5..120))).await;
                run.kill()?;
                look(terminal).await?;
            }
        }
        setup.captured().await?;
        for terminal in &terminals {
            setup.pull(terminal).await?;
            look(terminal).await?;
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        Ok(())
    });
}

/// While the first holds the target, if only in its sleep, the second applies nothing.
#[test]
fn the_second_of_two_runs_leaves_quietly() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        for terminal in [setup.postgres("store").await?, setup.sqlite("till")?] {
            setup.pull(&terminal).await?;
            let mut follower = terminal.command(&setup.relay.url())?.arg("--follow").spawn()?;
            let name = terminal.name.clone();
            let insert = "INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t";
            setup.master.execute(insert).await?;
            let position = setup.captured().await?;
            setup.relay.wait_applied(SOURCE, &name, position, LIMIT).await?;
            let rows = terminal.value("SELECT count(*) FROM t").await?;
            follower.pause()?;
            setup.master.execute(insert).await?;
            setup.captured().await?;
            let second = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
            assert_eq!(second.code, 0, "{}", second.stderr);
            assert_eq!(terminal.value("SELECT count(*) FROM t").await?, rows, "it applied some");
            follower.resume()?;
            assert!(follower.is_running()?);
            let first = follower.stop().await?;
            assert_eq!(first.code, 0, "{}", first.stderr);
            setup.all_equal(&[&terminal]).await?;
        }
        Ok(())
    });
}

/// The goal of `--once` is the head at its start, so a master that never rests does not keep cron's
/// job running.
#[test]
fn once_ends_while_the_head_moves() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY, n int)").await?;
        let terminal = setup.sqlite("till")?;
        setup.pull(&terminal).await?;
        let writer = setup.master.connect().await?;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let writing = tokio::spawn(async move {
            for id in 0.. {
                if *stopped.borrow() {
                    break;
                }
                writer.execute("INSERT INTO t VALUES ($1, 0)", &[&id]).await?;
            }
            anyhow::Ok(())
        });
        let before = setup.captured().await?;
        setup.pull(&terminal).await?;
        stop.send_replace(true);
        writing.await??;
        let lag = setup.relay.lag(SOURCE).await?;
        let applied = lag.terminal("till").and_then(|seen| seen.applied).context("not seen")?;
        assert!(applied >= before, "{applied} is before the head at the start, {before}");
        setup.all_equal(&[&terminal]).await
    });
}

#[test]
fn a_network_that_cuts_and_a_proxy_that_lies_change_nothing() {
    test(async {
        let mut rng = rng("network");
        // Its transactions stay open for a while, which would hold up others' slots.
        let cluster = Cluster::builder().without_fsync().start().await?;
        let master = cluster.database().await?;
        Workload::prepare(master.url()).await?;
        let relay = harness::RelayProcess::builder().start().await?;
        let options = crate::setup::Options { capture: &["--keyless", "full"], config: None };
        let setup = Setup::with(master, relay, options).await?;
        let mut workload = Workload::start(setup.master.url(), seed(), 3).await?;
        let proxy = Proxy::to_port(setup.relay.port()).await?;
        let terminal = setup.postgres("store").await?;
        let mut follower = terminal.command(&proxy.url())?.arg("--follow").spawn()?;
        for _ in 0..25 {
            workload.run(12).await?;
            let mode = match rng.random_range(0..5) {
                0 => Mode::Truncate(Direction::ToClient, rng.random_range(1..5000)),
                1 => Mode::Refuse,
                2 => Mode::Html(200),
                3 => Mode::Html(502),
                _ => Mode::Stall,
            };
            proxy.set(mode);
            proxy.cut();
            tokio::time::sleep(Duration::from_millis(rng.random_range(20..250))).await;
            assert!(follower.is_running()?, "it ended: {}", follower.stderr());
            proxy.set(Mode::Pass);
            proxy.cut();
            tokio::time::sleep(Duration::from_millis(rng.random_range(20..150))).await;
        }
        workload.finish().await?;
        let position = setup.captured().await?;
        setup.relay.wait_applied(SOURCE, "store", position, LIMIT).await?;
        follower.stop().await?;
        terminal.equals(&setup.master, &Workload::tables()).await
    });
}

/// A terminal that never had this history applies nothing of it.
#[test]
fn another_lineage_is_refused() {
    test(async {
        let sql = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)";
        let (one, other) = (Setup::shared(sql).await?, Setup::shared(sql).await?);
        for terminal in [one.postgres("store").await?, one.sqlite("till")?] {
            one.pull(&terminal).await?;
            other.master.execute("INSERT INTO t VALUES (2) ON CONFLICT DO NOTHING").await?;
            other.captured().await?;
            let refused = terminal.command(&other.relay.url())?.run(LIMIT).await?;
            assert_eq!(refused.code, 3, "{}", refused.stderr);
            assert!(refused.stderr.contains("lineage"), "{}", refused.stderr);
            assert_eq!(terminal.value("SELECT count(*) FROM t").await?.as_deref(), Some("1"));
        }
        Ok(())
    });
}

/// Foreign keys, triggers and checks at the terminal do not change what arrives.
#[test]
fn triggers_and_foreign_keys_of_the_terminal_are_left_alone() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
             INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1)",
        )
        .await?;
        let terminal = setup.postgres("store").await?;
        setup.pull(&terminal).await?;
        let crate::setup::Target::Postgres(database) = &terminal.target else { return Ok(()) };
        database
            .execute(
                "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := NEW.id + 1000; RETURN NEW; END $$;
                 CREATE TRIGGER meddle BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION meddle()",
            )
            .await?;
        setup
            .master
            .execute("BEGIN; INSERT INTO b VALUES (2, 2); INSERT INTO a VALUES (2); COMMIT")
            .await?;
        setup.all_equal(&[&terminal]).await
    });
}
