//! Comparisons that are not made, and change nothing; channels and tokens.

use anyhow::Result;
use harness::{Cluster, RelayProcess, Tables, test};

use super::{found, same, verify};
use crate::{
    channels::{CONFIG, TABLES},
    setup::{LIMIT, Options, SOURCE, Setup, capture_command},
};

#[test]
fn what_cannot_be_compared_is_refused_by_name() {
    test(async {
        let setup =
            Setup::shared("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            let done = verify(&setup, terminal, &[], 2).await?;
            assert!(done.stderr.contains("was never loaded with orders"), "{}", done.stderr);
            setup.pull(terminal).await?;
            let done = verify(&setup, terminal, &["--tables", "public.t,public.x"], 2).await?;
            assert!(done.stderr.contains("has no table public.x"), "{}", done.stderr);
        }
        // Whoever pulls goes first.
        let mut follow = terminals[0].command(&setup.relay.url())?.arg("--follow").spawn()?;
        setup.master.execute("INSERT INTO t VALUES (3)").await?;
        setup.relay.wait_applied(SOURCE, "store", setup.captured().await?, LIMIT).await?;
        let done = verify(&setup, &terminals[0], &[], 4).await?;
        assert!(done.stderr.contains("another run is pulling orders"), "{}", done.stderr);
        follow.stop().await?;
        // No capture takes the snapshot.
        setup.master.execute("INSERT INTO t VALUES (2)").await?;
        setup.captured().await?;
        setup.pull(&terminals[0]).await?;
        let Setup { master, relay, mut capture, .. } = setup;
        capture.kill()?;
        let setup = Setup::assembled(master, relay, capture);
        let done = verify(&setup, &terminals[0], &["--timeout", "3s"], 4).await?;
        assert!(done.stderr.contains("came in the time given (--timeout)"), "{}", done.stderr);
        // Another history.
        let other = Cluster::shared().await?.database().await?;
        other.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let relay = RelayProcess::builder().start().await?;
        let capture = capture_command(&other, &relay.url())?.spawn()?;
        let foreign = Setup::assembled(other, relay, capture);
        foreign.captured().await?;
        verify(&foreign, &terminals[0], &[], 3).await?;
        terminals[0].equals(&setup.master, &Tables::All).await
    });
}

/// A terminal of some channels is compared with those; a request of its goes where it was loaded from.
#[test]
fn a_terminal_of_some_channels() {
    test(async {
        let options = Options { config: Some(CONFIG), ..Options::default() };
        let setup = Setup::on(Cluster::shared().await?, TABLES, options).await?;
        let sales = [setup.postgres("sales").await?, setup.sqlite("sales-file")?];
        for terminal in sales {
            let terminal = terminal.channels("sales");
            setup.pull(&terminal).await?;
            same(&setup, &terminal).await?;
            let all = found(&setup, &terminal, &[], 0).await?;
            assert!(all["tables"].as_array().unwrap().len() < 3, "{all}");
            let others = terminal.channels("stock");
            let done = verify(&setup, &others, &[], 2).await?;
            assert!(done.stderr.contains("cannot change its channels"), "{}", done.stderr);
        }
        Ok(())
    });
}

/// The reload that was begun is finished first.
#[test]
fn a_reload_that_is_unfinished() {
    test(async {
        let setup = Setup::shared(crate::first_load::MUCH).await?;
        let terminal = setup.sqlite("till")?;
        setup.pull(&terminal).await?;
        let began = async || -> Result<()> {
            let mut reload = terminal.reload_command(&setup.relay.url())?.spawn()?;
            crate::first_load::part_behind(&terminal, 0, &mut reload).await?;
            reload.kill()
        };
        began().await?;
        let done = verify(&setup, &terminal, &[], 4).await?;
        assert!(done.stderr.contains("a reload of source orders is unfinished"), "{}", done.stderr);
        setup.pull(&terminal).await?;
        same(&setup, &terminal).await
    });
}
