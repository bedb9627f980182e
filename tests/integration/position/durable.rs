//! Invariant 1: the slot's confirmed position never passes what the relay has on disk.

use std::time::{Duration, Instant};

use anyhow::Context;
use harness::{Cluster, Mode, eventually, test};

use super::own_cluster::{confirmed_at, quick, walsender, with_proxy};
use crate::{
    history,
    setup::{LIMIT, Options, SOURCE, Setup},
};

/// Longer than two of the server's time-outs below.
const OUTAGE: Duration = Duration::from_secs(8);
const MEMORY_BOUND: u64 = 128 << 20;

/// PITFALLS 8 and 13. The relay is out of reach while 150 MB are written, and while WAL grows that
/// is of no interest to it, so that keepalives carry positions behind everything that waits.
#[test]
fn a_relay_that_stores_nothing_moves_nothing_and_costs_no_memory() {
    test(async {
        let cluster = quick().setting("wal_sender_timeout", "3s").start().await?;
        let sql = "CREATE TABLE t (id int PRIMARY KEY, filler text); CREATE TABLE other (n int)";
        let (mut setup, proxy) = with_proxy(&cluster, sql, &["--tables", "public.t"]).await?;
        setup.master.execute("INSERT INTO t VALUES (0, 'before')").await?;
        setup.captured().await?;
        let feeder = walsender(&setup.master).await?;
        assert!(feeder.is_some());

        proxy.set(Mode::Blackhole);
        // What the relay has received by now it still stores.
        let mut head = setup.relay.head(SOURCE).await?;
        eventually("nothing more is stored", LIMIT, async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = setup.relay.head(SOURCE).await?;
            Ok(std::mem::replace(&mut head, now) == now)
        })
        .await?;
        for round in 0..40 {
            let insert = format!(
                "INSERT INTO t SELECT {round} * 2000 + n, repeat('f', 1900) FROM generate_series(1, 2000) n"
            );
            setup.master.execute(&insert).await?;
        }
        let began = Instant::now();
        while began.elapsed() < OUTAGE {
            setup.master.execute("INSERT INTO other SELECT generate_series(1, 2000)").await?;
            let confirmed = setup.confirmed().await?;
            assert!(confirmed <= head, "{confirmed} is confirmed, {head} is durable");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(setup.relay.head(SOURCE).await?, head, "something was stored after all");
        assert_eq!(
            walsender(&setup.master).await?,
            feeder,
            "feedback starved: {}",
            setup.capture.stderr()
        );
        let peak = setup.capture.memory().peak;
        println!("capture held at most {} MiB", peak >> 20);
        assert!(peak < MEMORY_BOUND, "{} MiB", peak >> 20);

        proxy.set(Mode::Pass);
        let position = setup.captured().await?;
        confirmed_at(&setup, head, LIMIT).await?;
        assert!(setup.confirmed().await? <= setup.relay.head(SOURCE).await?);
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "t");
        assert_eq!(ids.len(), 80_001, "behind {position}");
        Ok(())
    });
}

/// A relay whose proxy answers for it (502) or that goes away in the middle is the same.
#[test]
fn a_relay_that_refuses_moves_nothing() {
    test(async {
        let cluster = Cluster::shared().await?;
        let sql = "CREATE TABLE t (id int PRIMARY KEY)";
        let (mut setup, proxy) = with_proxy(cluster, sql, &[]).await?;
        for (round, mode) in
            [Mode::Html(502), Mode::Refuse, Mode::Html(503), Mode::Stall].into_iter().enumerate()
        {
            proxy.set(mode.clone());
            proxy.cut();
            let head = setup.relay.head(SOURCE).await?;
            setup.master.execute(&format!("INSERT INTO t VALUES ({round})")).await?;
            let before = setup.position().await?;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let (confirmed, now) = (setup.confirmed().await?, setup.relay.head(SOURCE).await?);
            // What was on its way when the mode changed may have arrived.
            assert!(now < before && head <= now, "{mode:?}: {head}, {now}, {before}");
            assert!(confirmed <= now, "{mode:?}: {confirmed} is confirmed, {now} is durable");
            assert!(setup.capture.is_running()?, "{mode:?}: {}", setup.capture.stderr());
            proxy.set(Mode::Pass);
            proxy.cut();
            setup.captured().await?;
        }
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "t");
        assert_eq!(ids, ["0", "1", "2", "3"]);
        Ok(())
    });
}

/// PITFALLS 3 and 4: the relay has a commit, the slot does not know yet, capture dies. What comes again
/// is recognised. The table has no key, so a row applied twice would be seen.
#[test]
fn a_kill_between_storing_and_acknowledging_repeats_nothing() {
    test(async {
        let options = Options { capture: &["--keyless", "full"], config: None };
        let cluster = Cluster::shared().await?;
        let mut setup = Setup::on(cluster, "CREATE TABLE step (n int)", options).await?;
        let client = setup.master.connect().await?;
        let (mut n, mut repeated) = (0, 0);
        for _ in 0..6 {
            let mut ends = Vec::new();
            for _ in 0..10 {
                n += 1;
                client.execute("INSERT INTO step VALUES ($1)", &[&n]).await?;
                ends.push(setup.position().await?);
            }
            let last = *ends.last().context("no commit")?;
            eventually("the relay has the last commit", LIMIT, async || {
                let runs = history::read(&setup.relay, None).await?;
                Ok(history::inserted(&runs, "step").contains(&n.to_string()))
            })
            .await?;
            setup.capture.kill()?;
            let confirmed = setup.confirmed().await?;
            assert!(confirmed < last, "the newest commit is acknowledged to its end: {confirmed}");
            repeated += ends.iter().filter(|end| **end > confirmed).count();
            setup.capture.start()?;
            setup.captured().await?;
        }
        println!("{repeated} commits were durable and not acknowledged when capture was killed");
        assert!(repeated >= 6);
        let runs = history::read(&setup.relay, None).await?;
        let expected: Vec<String> = (1..=n).map(|n| n.to_string()).collect();
        assert_eq!(history::inserted(&runs, "step"), expected);
        let terminal = setup.postgres("store").await?;
        setup.all_equal(&[&terminal]).await
    });
}

/// PITFALLS 10: what a terminal reports as applied is in its database, all of it.
#[test]
fn a_reported_position_is_really_applied() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let terminal = setup.postgres("store").await?;
        setup.pull(&terminal).await?;
        let mut follower = terminal.command(&setup.relay.url())?.arg("--follow").spawn()?;
        let writer = setup.master.connect().await?;
        let mut ends = Vec::new();
        let mut compared = 0;
        for id in 1..=150 {
            writer.execute("INSERT INTO t VALUES ($1)", &[&id]).await?;
            ends.push(setup.position().await?);
            if id % 3 == 0 {
                let lag = setup.relay.lag(SOURCE).await?;
                let Some(applied) = lag.terminal("store").and_then(|seen| seen.applied) else {
                    continue;
                };
                if id == 90 {
                    follower.kill()?;
                }
                let there: usize =
                    terminal.value("SELECT count(*) FROM t").await?.context("no count")?.parse()?;
                // An id whose end is at or before the position that was reported.
                let promised = ends.iter().filter(|end| **end <= applied).count();
                assert!(
                    there >= promised,
                    "{promised} rows are at or before {applied}, {there} are there"
                );
                compared += usize::from(promised > 0);
                if id == 90 {
                    follower.start()?;
                }
            }
        }
        assert!(compared > 5, "nothing was reported while rows came");
        let end = setup.captured().await?;
        setup.relay.wait_applied(SOURCE, "store", end, LIMIT).await?;
        terminal.equals(&setup.master, &harness::Tables::All).await
    });
}
