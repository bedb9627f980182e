//! Terminals in the field: many on one schedule, on narrow lines, in hours of their own.

use std::time::Instant;

use anyhow::{Context, Result};
use harness::{Finished, ProcessBuilder, Scratch, Tables, eventually, free_port, terminal, test};

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
        let begun = Instant::now();
        let done =
            till.command(&setup.relay.url())?.env("TAILWATER_MAX_RATE", "64k").run(LIMIT).await?;
        let elapsed = begun.elapsed().as_secs_f64();
        says(&done, 0, &["1000 changes in 1 transaction applied"]);
        let bytes = received(&done)?;
        assert!(bytes >= 64_000.0, "{bytes} bytes are fewer than the digests");
        assert!(elapsed >= bytes / 64_000.0, "{bytes} bytes came in {elapsed} s");
        till.equals(&setup.master, &Tables::All).await
    });
}
