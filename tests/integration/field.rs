//! Terminals in the field: many on one schedule, on narrow lines, in hours of their own.

use anyhow::Result;
use harness::{ProcessBuilder, Scratch, eventually, free_port, terminal, test};

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
        till.equals(&setup.master, &harness::Tables::All).await
    });
}
