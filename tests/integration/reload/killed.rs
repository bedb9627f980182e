//! Reloads that are killed: what was there stays whole until the exchange.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Tables, rng, test_within};
use rand::Rng;

use super::damage;
use crate::{
    first_load::{MUCH, began_at, loaded_bytes, part_behind, status},
    setup::{LIMIT, Setup, Target, Terminal},
};

/// All of these at once: whether a reload is under way, and what the tables hold.
async fn seen(terminal: &Terminal) -> Result<(bool, String)> {
    let load = if terminal.is_sqlite() { "tailwater_load" } else { "tailwater.load" };
    let sql = format!(
        "SELECT (SELECT count(*) FROM {load}) || ' ' || (SELECT count(*) FROM big) || ' ' || (SELECT count(*) FROM line)
            || ' ' || (SELECT sum(id) FROM small) || ' ' || (SELECT count(*) FROM empty_one)"
    );
    let value = terminal.value(&sql).await?.context("no value")?;
    let (under_way, rows) = value.split_once(' ').context("one word")?;
    Ok((under_way == "1", rows.to_owned()))
}

/// Damages, and kills a reload until it is over; tells how often, and whether a run went on.
async fn killed_reload(
    setup: &Setup,
    terminal: &Terminal,
    rng: &mut impl Rng,
) -> Result<(u32, Vec<u64>)> {
    let sql = "DELETE FROM big WHERE id % 10 = 3; DELETE FROM small WHERE id < 100; INSERT INTO empty_one VALUES (5)";
    damage(terminal, sql).await?;
    let (_, damaged) = seen(terminal).await?;
    let mut reload = terminal.reload_command(&setup.relay.url())?.spawn()?;
    let (mut kills, mut at) = (0, 0);
    loop {
        if kills % 3 == 1 {
            part_behind(terminal, at, &mut reload).await?;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..500))).await;
        if !reload.is_running()? {
            break;
        }
        reload.kill()?;
        kills += 1;
        let (under_way, rows) = seen(terminal).await?;
        if under_way {
            assert_eq!(rows, damaged, "part of the new rows is seen");
            let now = loaded_bytes(terminal).await?.unwrap_or_default();
            assert!(now >= at, "what was committed went from {at} back to {now} bytes");
            at = now;
        } else if rows != damaged {
            // The exchange was made, and the program killed behind it.
            return Ok((kills, began_at("reload", &reload.stderr())));
        }
        reload.start()?;
    }
    let done = reload.wait(LIMIT).await?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    Ok((kills, began_at("reload", &done.stderr)))
}

#[test]
fn killed_at_random_moments_readers_keep_what_they_had() {
    test_within(Duration::from_secs(420), async {
        let setup = Setup::shared(MUCH).await?;
        let mut rng = rng("reload");
        println!("seed {}", harness::seed());
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
            let (mut kills, mut resumed) = (0, 0);
            while kills < 6 || resumed == 0 {
                let (killed, began) = killed_reload(&setup, terminal, &mut rng).await?;
                println!("{}: {killed} kills, runs began at {began:?} MB", terminal.name);
                kills += killed;
                resumed += began.iter().filter(|at| **at > 0).count();
                terminal.equals(&setup.master, &Tables::All).await?;
                assert_eq!(loaded_bytes(terminal).await?, None, "the record outlived the load");
            }
        }
        setup.master.execute("INSERT INTO big SELECT max(id) + 1, 'later' FROM big").await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// A reload that is killed behind a part.
pub(super) async fn interrupted(setup: &Setup, terminal: &Terminal) -> Result<u64> {
    let mut reload = terminal.reload_command(&setup.relay.url())?.spawn()?;
    part_behind(terminal, 0, &mut reload).await?;
    reload.kill()?;
    let at = loaded_bytes(terminal).await?;
    at.filter(|at| *at > 0).context("the reload was over before it was killed")
}

/// A pull finishes the reload before it does anything else; a crash of the target's server, which
/// empties shadows, begins it anew.
#[test]
fn a_pull_finishes_what_a_reload_began() {
    test_within(Duration::from_secs(300), async {
        let setup = Setup::shared(MUCH).await?;
        for terminal in [setup.postgres("store").await?, setup.sqlite("till")?] {
            setup.pull(&terminal).await?;
            terminal.execute("DELETE FROM small").await?;
            interrupted(&setup, &terminal).await?;
            let status = status(&terminal).await?;
            assert!(status.contains("state    loading"), "{status}");
            assert!(
                status.contains("load     reload, ") && status.contains("position "),
                "{status}"
            );
            assert!(!status.contains("position none"), "{status}");
            assert_eq!(terminal.value("SELECT count(*) FROM small").await?.as_deref(), Some("0"));
            if let Target::Postgres(target) = &terminal.target {
                // As a crash of the server leaves them.
                let sql = "DO $$ DECLARE t text; BEGIN FOR t IN SELECT oid::regclass FROM pg_class WHERE relname LIKE 'shadow_%'
                    LOOP EXECUTE 'TRUNCATE ' || t; END LOOP; END $$";
                target.execute(sql).await?;
            }
            let done = setup.pull(&terminal).await?;
            let expected = match &terminal.target {
                Target::Postgres(_) => "an interrupted reload of orders cannot go on",
                Target::Sqlite { .. } => "going on with the reload of orders",
            };
            assert!(done.stderr.contains(expected), "{}", done.stderr);
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        Ok(())
    });
}
