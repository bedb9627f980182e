//! Terminals in the field: many on one schedule, on narrow lines, in hours of their own.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use harness::{
    Finished, ProcessBuilder, Scratch, Tables, binary, eventually, free_port, terminal, test,
};

use crate::{
    ending::says,
    setup::{LIMIT, SOURCE, Setup},
};

/// A pull that finds no relay, into a file that is not made.
fn without_relay(folder: &Scratch) -> Result<ProcessBuilder> {
    let target = format!("sqlite:{}", folder.path().join("till.db").display());
    terminal(&format!("http://127.0.0.1:{}", free_port()?), SOURCE, &target, "till")
}

#[test]
fn a_signal_ends_the_wait_before_a_run() {
    test(async {
        let folder = Scratch::new("target")?;
        for (args, code, words) in [
            (&["--once"][..], 1, "stopped by a signal"),
            (&["--every", "1h"], 0, "stopped"),
            (&["--follow"], 0, "stopped"),
        ] {
            // So long that chance does not make it short.
            let command = without_relay(&folder)?.args(["--jitter", "100000d"]).args(args);
            let mut waiting = command.spawn()?;
            eventually("it says that it waits", LIMIT, async || {
                Ok(waiting.stderr().contains("(--jitter)"))
            })
            .await?;
            says(&waiting.stop().await?, code, &[words]);
        }
        assert!(!folder.path().join("till.db").exists(), "a run had begun");
        Ok(())
    });
}

#[test]
fn after_the_wait_it_pulls() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
        let setup = setup.await?;
        let till = setup.sqlite("till")?;
        let command = till.command(&setup.relay.url())?;
        let done = command.args(["--jitter", "50ms"]).run(LIMIT).await?;
        says(&done, 0, &["begins in 0 s (--jitter)"]);
        till.equals(&setup.master, &Tables::All).await
    });
}

/// What the last line of a pull says to have been received, in bytes; tenths were rounded down.
fn received(done: &Finished) -> Result<f64> {
    let words = done.stderr.trim_end().lines().last().context("it says nothing")?;
    let words = words.strip_suffix(" received").context("no bytes")?;
    let mut words = words.rsplit(' ');
    let unit = match words.next().context("no unit")? {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        unit => anyhow::bail!("what is {unit}?"),
    };
    Ok(words.next().context("no number")?.parse::<f64>()? * unit)
}

#[test]
fn a_narrow_line_is_not_filled() {
    test(async {
        // Digests, which hardly shrink.
        let row = "SELECT i, sha512(i::text::bytea) FROM generate_series";
        let sql =
            format!("CREATE TABLE t (id int PRIMARY KEY, b bytea); INSERT INTO t {row}(1, 1000) i");
        let setup = Setup::shared(&sql).await?;
        let till = setup.sqlite("till")?;
        let command = till.command(&setup.relay.url())?;
        let begun = Instant::now();
        let done = command.args(["--max-rate", "64k"]).run(LIMIT).await?;
        let elapsed = begun.elapsed().as_secs_f64();
        says(&done, 0, &["received"]);
        let bytes = received(&done)?;
        assert!(bytes >= 64_000.0, "{bytes} bytes are fewer than the digests");
        assert!(elapsed >= bytes / 64_000.0, "{bytes} bytes came in {elapsed} s");
        // What comes as slices.
        setup.master.execute(&format!("INSERT INTO t {row}(1001, 2000) i")).await?;
        setup.captured().await?;
        let status = ProcessBuilder::new("status", binary("tailwater-terminal")?).args([
            "status",
            "--json",
            "--target",
            &till.url(),
            "--relay",
            &setup.relay.url(),
        ]);
        let status: serde_json::Value = serde_json::from_str(&status.run(LIMIT).await?.stdout)?;
        let quoted = status["sources"][0]["next_run"]["fetch_bytes"].as_f64();
        let begun = Instant::now();
        let done =
            till.command(&setup.relay.url())?.env("TAILWATER_MAX_RATE", "64k").run(LIMIT).await?;
        let elapsed = begun.elapsed().as_secs_f64();
        says(&done, 0, &["1000 changes in 1 transaction applied"]);
        let bytes = received(&done)?;
        assert!(bytes >= 64_000.0, "{bytes} bytes are fewer than the digests");
        assert!(elapsed >= bytes / 64_000.0, "{bytes} bytes came in {elapsed} s");
        // What status said that it would be, headers and answers about the source aside.
        let quoted = quoted.context("status quotes no bytes")?;
        assert!(
            (0.9 * bytes..=bytes * 1.01).contains(&quoted),
            "{quoted} bytes were quoted, {bytes} came"
        );
        let done = setup.reload(&till).await?;
        let bytes = received(&done)?;
        assert!(bytes >= 64_000.0, "{bytes} bytes are fewer than the digests");
        setup.pull(&till).await?;
        till.equals(&setup.master, &Tables::All).await
    });
}

/// `--window` from so many seconds from now to so many, by a clock that shows UTC.
fn window(from: i64, to: i64) -> Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = i64::try_from(now.as_secs())?;
    let time = |after: i64| {
        let second = (now + after).rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    };
    Ok(format!("{}-{}", time(from), time(to)))
}

#[test]
fn outside_of_its_hours_a_terminal_asks_nothing() {
    test(async {
        let folder = Scratch::new("target")?;
        let outside = window(7200, 10_800)?;
        let command = || -> Result<ProcessBuilder> {
            Ok(without_relay(&folder)?.env("TZ", "UTC0").args(["--window", &outside]))
        };
        let done = command()?.run(LIMIT).await?;
        says(&done, 0, &[&format!("outside of --window {outside}: nothing was pulled")]);
        let done = command()?.arg("--quiet").run(LIMIT).await?;
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        for schedule in [&["--every", "1ms"][..], &["--cron", "* * * * *"], &["--follow"]] {
            let mut waiting = command()?.args(schedule).spawn()?;
            eventually("it says that it waits", LIMIT, async || {
                Ok(waiting.stderr().contains("waiting until it opens"))
            })
            .await?;
            says(&waiting.stop().await?, 0, &["stopped"]);
        }
        assert!(!folder.path().join("till.db").exists(), "a run had begun");
        // By the clock of the place, three hours ahead, its hours have come.
        let command = without_relay(&folder)?
            .env("TZ", "<+03>-3")
            .args(["--window", &window(10_000, 14_000)?]);
        let done = command.args(["--timeout", "1s"]).run(LIMIT).await?;
        says(&done, 4, &[]);
        Ok(())
    });
}

#[test]
fn a_terminal_that_follows_goes_on_when_its_hours_come() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
        let setup = setup.await?;
        let till = setup.sqlite("till")?;
        let command = |from, to| -> Result<ProcessBuilder> {
            let window = window(from, to)?;
            Ok(till.command(&setup.relay.url())?.env("TZ", "UTC0").args(["--window", &window]))
        };
        let mut following = command(-3600, 5)?.arg("--follow").spawn()?;
        eventually("its hours are over", LIMIT, async || {
            Ok(following.stderr().contains("waiting until it opens"))
        })
        .await?;
        says(&following.stop().await?, 0, &["stopped"]);
        setup.master.execute("INSERT INTO t VALUES (2)").await?;
        setup.captured().await?;
        let begun = Instant::now();
        let mut following = command(5, 3600)?.arg("--follow").spawn()?;
        eventually("the row is there", LIMIT, async || {
            let rows = till.value("SELECT count(*) FROM t").await.unwrap_or_default();
            Ok(rows.as_deref() == Some("2"))
        })
        .await?;
        // The window is told in whole seconds.
        assert!(begun.elapsed() >= Duration::from_secs(4), "it came before its time");
        says(&following.stop().await?, 0, &["stopped"]);
        till.equals(&setup.master, &Tables::All).await
    });
}

#[test]
fn a_run_once_ends_with_its_hours() {
    test(async {
        let folder = Scratch::new("target")?;
        // Without the window it would go on for the whole of the time-out.
        let command = without_relay(&folder)?.env("TZ", "UTC0").args(["--timeout", "1h"]);
        let done = command.args(["--window", &window(-3600, 5)?]).run(LIMIT).await?;
        says(&done, 0, &["--window"]);
        Ok(())
    });
}

#[test]
fn hours_that_are_too_short_are_gone_on_with() {
    test(async {
        // A megabyte that hardly shrinks: at this rate it takes longer than the hours last.
        let row = "SELECT i, sha512(i::text::bytea) FROM generate_series";
        let sql = format!(
            "CREATE TABLE t (id int PRIMARY KEY, b bytea); INSERT INTO t {row}(1, 15000) i"
        );
        let setup = Setup::shared(&sql).await?;
        let till = setup.sqlite("till")?;
        let cut = async || -> Result<()> {
            // More where a busy machine was not even begun within them.
            for seconds in [4, 8, 12] {
                let command = till.command(&setup.relay.url())?.args(["--max-rate", "64k"]);
                let command =
                    command.env("TZ", "UTC0").args(["--window", &window(-3600, seconds)?]);
                let done = command.run(LIMIT).await?;
                says(&done, 0, &["--window"]);
                if done.stderr.contains("closed; ") {
                    return Ok(());
                }
            }
            anyhow::bail!("no run began within its hours")
        };
        cut().await?;
        setup.all_equal(&[&till]).await?;
        setup.master.execute(&format!("INSERT INTO t {row}(15001, 30000) i")).await?;
        setup.captured().await?;
        cut().await?;
        // Nothing of the transaction that did not come whole.
        assert_eq!(till.value("SELECT count(*) FROM t").await?.as_deref(), Some("15000"));
        setup.all_equal(&[&till]).await
    });
}
