//! Terminals of a history that ended, and of one that nobody knows.

use anyhow::Result;
use harness::{Cluster, RelayProcess, Scratch, Tables, test};

use super::{CHANGES, RESNAPSHOT, TABLES, begun_anew, capture_again, followed, lineage, lose_slot};
use crate::{
    ending::says,
    first_load::{MUCH, loaded_bytes, part_behind},
    position::backup::Backup,
    setup::{LIMIT, Options, Setup, Terminal},
};

/// The slot is lost, and another history begins.
async fn succeed(setup: &mut Setup) -> Result<String> {
    let before = lineage(setup).await?;
    lose_slot(setup).await?;
    capture_again(setup, &RESNAPSHOT)?;
    begun_anew(setup, &before).await
}

#[test]
fn two_histories_behind_it_loads_the_third() {
    test(async {
        let mut setup = Setup::shared(TABLES).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        succeed(&mut setup).await?;
        let third = succeed(&mut setup).await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        for terminal in &terminals {
            assert_eq!(followed(terminal).await?, third);
        }
        Ok(())
    });
}

/// One that the log does not succeed is another's, whatever its positions.
#[test]
fn one_of_a_foreign_history_refuses_as_ever() {
    test(async {
        let mut setup = Setup::shared(TABLES).await?;
        let foreign = Setup::shared(TABLES).await?;
        let terminals = [foreign.postgres("store").await?, foreign.sqlite("till")?];
        foreign.all_equal(&[&terminals[0], &terminals[1]]).await?;
        let theirs = lineage(&foreign).await?;
        succeed(&mut setup).await?;
        setup.captured().await?;
        for terminal in &terminals {
            let done = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
            says(&done, 3, &["another history", "nothing was applied"]);
            let done = terminal.reload_command(&setup.relay.url())?.run(LIMIT).await?;
            says(&done, 3, &["one is never loaded over the other"]);
            assert_eq!(followed(terminal).await?, theirs);
            terminal.equals(&foreign.master, &Tables::All).await?;
        }
        Ok(())
    });
}

#[test]
fn one_that_follows_goes_over_by_itself() {
    test(async {
        let mut setup = Setup::shared(TABLES).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        let mut pulls = Vec::new();
        for terminal in &terminals {
            setup.pull(terminal).await?;
            pulls.push(terminal.command(&setup.relay.url())?.arg("--follow").spawn()?);
        }
        for _ in 0..2 {
            succeed(&mut setup).await?;
            setup.master.execute(CHANGES).await?;
            let at = setup.captured().await?;
            for terminal in &terminals {
                setup.relay.wait_applied(crate::setup::SOURCE, &terminal.name, at, LIMIT).await?;
                terminal.equals(&setup.master, &Tables::All).await?;
            }
        }
        for mut pull in pulls {
            assert!(pull.is_running()?, "{}", pull.stderr());
        }
        Ok(())
    });
}

/// A load of the history that ended is of no use.
#[test]
fn a_load_that_was_interrupted_begins_with_the_new_one() {
    test(async {
        let mut setup = Setup::shared(&format!("{TABLES}; {MUCH}")).await?;
        let (first, again) = (setup.sqlite("first")?, setup.postgres("again").await?);
        setup.pull(&again).await?;
        for terminal in [&first, &again] {
            let command = if terminal.name == "first" {
                terminal.command(&setup.relay.url())?
            } else {
                terminal.reload_command(&setup.relay.url())?
            };
            let mut load = command.spawn()?;
            part_behind(terminal, 0, &mut load).await?;
            load.kill()?;
            assert!(loaded_bytes(terminal).await?.is_some(), "the test proves nothing");
        }
        succeed(&mut setup).await?;
        setup.all_equal(&[&first, &again]).await
    });
}

/// A relay that has not heard of it gives nothing that a terminal which has would take.
#[test]
fn a_relay_that_stayed_behind_leads_nobody_back() {
    test(async {
        let folder = Scratch::new("relays")?;
        let data = folder.path().join("data");
        let relay = RelayProcess::builder().data_dir(&data).start().await?;
        let master = Cluster::shared().await?.database().await?;
        master.execute(TABLES).await?;
        let mut setup = Setup::with(master, relay, Options::default()).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        let old = lineage(&setup).await?;
        setup.capture.stop().await?;
        setup.relay.stop().await?;
        let backup = Backup::take(&data)?;
        let copy = folder.path().join("copy");
        backup.copy_to(&copy)?;
        let behind = RelayProcess::builder().data_dir(&copy).start().await?;
        setup.relay.start()?;
        setup.relay.wait_ready().await?;
        setup.capture.start()?;
        let now = succeed(&mut setup).await?;
        setup.captured().await?;

        let pull = async |terminal: &Terminal, relays: String| {
            terminal.command(&relays)?.args(["--timeout", "5s"]).run(LIMIT).await
        };
        for terminal in &terminals {
            says(&pull(terminal, behind.url()).await?, 0, &[]);
            assert_eq!(followed(terminal).await?, old);
            says(&pull(terminal, format!("{},{}", setup.relay.url(), behind.url())).await?, 0, &[]);
            assert_eq!(followed(terminal).await?, now);
            terminal.equals(&setup.master, &Tables::All).await?;
            says(&pull(terminal, format!("{},{}", behind.url(), setup.relay.url())).await?, 0, &[]);
            says(&pull(terminal, behind.url()).await?, 3, &["another history"]);
            assert_eq!(followed(terminal).await?, now);
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        Ok(())
    });
}
