//! Transactions that cannot be applied wait, and what changes the same rows waits behind them.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Cluster, Finished, ProcessBuilder, Tables, binary, rng, test};
use rand::{Rng, rngs::StdRng};

use crate::setup::{LIMIT, Options, SOURCE, Setup, Target, Terminal};

const TABLES: &str = "
    CREATE TABLE item (id int PRIMARY KEY, n int);
    CREATE TABLE other (id int PRIMARY KEY, n int);
    CREATE TABLE child (id int PRIMARY KEY, item int REFERENCES item);
    INSERT INTO other SELECT i, 0 FROM generate_series(1, 20) i";

/// Puts a constraint on the terminal's items that the source has not.
async fn constrain(terminal: &Terminal) -> Result<()> {
    constrain_on(terminal, "item").await
}

async fn constrain_on(terminal: &Terminal, table: &str) -> Result<()> {
    let sql = if terminal.is_sqlite() {
        // Triggers are off in our session.
        format!(
            "CREATE INDEX small ON {table} (CASE WHEN n >= 100 THEN abs(-9223372036854775807 - 1 + n * 0) ELSE 0 END)"
        )
    } else {
        format!("ALTER TABLE {table} ADD CONSTRAINT small CHECK (n < 100)")
    };
    terminal.execute(&sql).await
}

async fn free(terminal: &Terminal) -> Result<()> {
    free_of(terminal, "item").await
}

async fn free_of(terminal: &Terminal, table: &str) -> Result<()> {
    let sql = if terminal.is_sqlite() {
        "DROP INDEX small".to_owned()
    } else {
        format!("ALTER TABLE {table} DROP CONSTRAINT small")
    };
    terminal.execute(&sql).await
}

async fn pull(setup: &Setup, terminal: &Terminal) -> Result<Finished> {
    let command = terminal.command(&setup.relay.url())?.args(["--on-error", "quarantine"]);
    let done = command.run(LIMIT).await?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    Ok(done)
}

fn command(word: &str, terminal: &Terminal) -> Result<ProcessBuilder> {
    let command = ProcessBuilder::new(word, binary("tailwater-terminal")?);
    Ok(command.args([word, "--target", &terminal.url()]))
}

async fn retry(terminal: &Terminal) -> Result<Finished> {
    command("retry", terminal)?.run(LIMIT).await
}

async fn held(terminal: &Terminal) -> Result<String> {
    let table = if terminal.is_sqlite() { "tailwater_quarantine" } else { "tailwater.quarantine" };
    Ok(terminal.value(&format!("SELECT count(*) FROM {table}")).await?.unwrap_or_default())
}

async fn loaded() -> Result<(Setup, [Terminal; 2])> {
    let setup = Setup::shared(TABLES).await?;
    let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
    for terminal in &terminals {
        setup.pull(terminal).await?;
        constrain(terminal).await?;
    }
    Ok((setup, terminals))
}

#[test]
fn what_changes_the_same_rows_waits_and_everything_else_goes_on() {
    test(async {
        let (setup, terminals) = loaded().await?;
        for sql in [
            "BEGIN; INSERT INTO item VALUES (1, 500); UPDATE other SET n = 1 WHERE id = 1; COMMIT",
            "UPDATE other SET n = 2 WHERE id = 2",
            // The row that cannot be there, one that refers to it, one of the same transaction.
            "UPDATE item SET n = 5 WHERE id = 1",
            "INSERT INTO child VALUES (1, 1)",
            "UPDATE other SET n = 3 WHERE id = 1",
            "INSERT INTO item VALUES (2, 7)",
            "INSERT INTO child VALUES (2, 2)",
        ] {
            setup.master.execute(sql).await?;
        }
        setup.captured().await?;
        for terminal in &terminals {
            let done = pull(&setup, terminal).await?;
            assert!(done.stderr.contains("is in quarantine"), "{}", done.stderr);
            let seen =
                "SELECT (SELECT sum(id * 1000 + n) FROM item) || ' ' || (SELECT sum(n) FROM other)";
            assert_eq!(terminal.value(seen).await?.as_deref(), Some("2007 2"));
            // SQLite has no foreign keys of ours.
            let (expected, children) = if terminal.is_sqlite() { ("3", "3") } else { ("4", "2") };
            assert_eq!(held(terminal).await?, expected);
            let found = terminal.value("SELECT sum(id) FROM child").await?;
            assert_eq!(found.as_deref(), Some(children));
            let lag = setup.relay.lag(SOURCE).await?;
            let told = lag.terminal(&terminal.name).context("it reported")?;
            assert_eq!(told.divergence.quarantined.to_string(), expected);
            let status = command("status", terminal)?.run(LIMIT).await?;
            assert!(
                status.stdout.contains("held     ") && status.stdout.contains("2 changes"),
                "{}",
                status.stdout
            );
        }
        // Also without the flag what waits is waited for.
        setup
            .master
            .execute("UPDATE item SET n = 6 WHERE id = 1; UPDATE item SET n = 8 WHERE id = 2")
            .await?;
        setup.captured().await?;
        for terminal in &terminals {
            let before: u32 = held(terminal).await?.parse()?;
            setup.pull(terminal).await?;
            // Both statements are one transaction.
            assert_eq!(held(terminal).await?, (before + 1).to_string());
            let done = retry(terminal).await?;
            assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
            assert!(done.stdout.contains("wait in quarantine since"), "{}", done.stdout);
            free(terminal).await?;
            let done = retry(terminal).await?;
            assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
            assert_eq!(held(terminal).await?, "0");
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        setup.master.execute("UPDATE item SET n = 600").await?;
        setup.all_equal(&terminals.each_ref()).await?;
        let lag = setup.relay.lag(SOURCE).await?;
        for terminal in &terminals {
            let told = lag.terminal(&terminal.name).context("it reported")?;
            assert_eq!(told.divergence.quarantined, 0);
        }
        Ok(())
    });
}

#[test]
fn told_to_stop_nothing_is_put_there() {
    test(async {
        let (setup, terminals) = loaded().await?;
        setup.master.execute("INSERT INTO item VALUES (1, 500)").await?;
        setup.captured().await?;
        for terminal in &terminals {
            let position = terminal.position().await?;
            let done = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
            assert_eq!(done.code, 1, "{}", done.stderr);
            assert_eq!(terminal.position().await?, position);
            free(terminal).await?;
        }
        setup.all_equal(&terminals.each_ref()).await
    });
}

/// What takes the place of all rows has what waited.
#[test]
fn a_reload_empties_the_quarantine() {
    test(async {
        let (setup, terminals) = loaded().await?;
        setup.master.execute("INSERT INTO item VALUES (1, 500)").await?;
        setup.captured().await?;
        for terminal in &terminals {
            pull(&setup, terminal).await?;
            assert_eq!(held(terminal).await?, "1");
            free(terminal).await?;
            setup.reload(terminal).await?;
            assert_eq!(held(terminal).await?, "0");
        }
        setup.all_equal(&terminals.each_ref()).await
    });
}

/// A role that may not switch foreign keys off finds some of what is wrong only at the end of a transaction.
#[test]
fn what_a_deferred_constraint_refuses_waits_too() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, item int)",
        )
        .await?;
        let terminal = setup.postgres("store").await?;
        let Target::Postgres(target) = &terminal.target else { unreachable!() };
        let url = target.plain_url().await?;
        let pull = async || {
            setup.captured().await?;
            let command = harness::terminal(&setup.relay.url(), SOURCE, &url, "store")?;
            let done = command.args(["--on-error", "quarantine"]).run(LIMIT).await?;
            assert_eq!(done.code, 0, "{}", done.stderr);
            anyhow::Ok(())
        };
        pull().await?;
        target
            .execute("ALTER TABLE child ADD CONSTRAINT own FOREIGN KEY (item) REFERENCES item DEFERRABLE INITIALLY DEFERRED")
            .await?;
        for sql in [
            "INSERT INTO child VALUES (1, 7)",
            "INSERT INTO item VALUES (8)",
            "INSERT INTO child VALUES (2, 8)",
        ] {
            setup.master.execute(sql).await?;
        }
        pull().await?;
        assert_eq!(held(&terminal).await?, "1");
        assert_eq!(terminal.value("SELECT sum(id) FROM child").await?.as_deref(), Some("2"));
        setup.master.execute("INSERT INTO item VALUES (7)").await?;
        pull().await?;
        let command = ProcessBuilder::new("retry", binary("tailwater-terminal")?);
        let done = command.args(["retry", "--target", &url]).run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        terminal.equals(&setup.master, &Tables::All).await
    });
}

/// What waits finds its way to its own table only: neither to another of that name, nor to one made for it.
#[test]
fn tables_that_are_altered_meanwhile_are_not_mistaken() {
    test(async {
        let options = Options { capture: &["--ddl"], config: None };
        let setup = Setup::on(Cluster::shared().await?, TABLES, options).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
            constrain(terminal).await?;
        }
        setup.master.execute("INSERT INTO item VALUES (1, 500)").await?;
        setup.captured().await?;
        for terminal in &terminals {
            pull(&setup, terminal).await?;
            assert_eq!(held(terminal).await?, "1");
        }
        // What leaves the rows their columns passes by.
        setup
            .master
            .execute("ALTER TABLE item ADD note text; INSERT INTO item VALUES (2, 2, 'x')")
            .await?;
        setup.captured().await?;
        for terminal in &terminals {
            pull(&setup, terminal).await?;
            assert_eq!(held(terminal).await?, "1");
            assert_eq!(
                terminal.value("SELECT note FROM item WHERE id = 2").await?.as_deref(),
                Some("x")
            );
        }
        setup
            .master
            .execute("ALTER TABLE item RENAME TO thing; INSERT INTO thing VALUES (3, 3, 'y')")
            .await?;
        setup.captured().await?;
        for terminal in &terminals {
            let command = terminal.command(&setup.relay.url())?;
            let done = command.args(["--on-error", "quarantine"]).run(LIMIT).await?;
            assert_eq!(done.code, 1, "{}", done.stderr);
            for said in ["public.item", "wait in quarantine", "retry"] {
                assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
            }
            free(terminal).await?;
            let done = retry(terminal).await?;
            assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        }
        setup.master.execute("UPDATE thing SET n = 1").await?;
        setup.all_equal(&terminals.each_ref()).await?;
        // Altered by hand: nothing is made anew for what waits.
        for terminal in &terminals {
            let (table, own) = ("thing", "own");
            setup.all_equal(&[terminal]).await?;
            constrain_on(terminal, table).await?;
            setup.master.execute("UPDATE thing SET n = 700 WHERE id = 3").await?;
            setup.captured().await?;
            pull(&setup, terminal).await?;
            assert_eq!(held(terminal).await?, "1");
            free_of(terminal, table).await?;
            terminal.execute(&format!("ALTER TABLE {table} RENAME TO {own}")).await?;
            let done = retry(terminal).await?;
            assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
            assert!(done.stdout.contains("is gone"), "{}", done.stdout);
            terminal.execute(&format!("ALTER TABLE {own} RENAME TO {table}")).await?;
            let done = retry(terminal).await?;
            assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
            setup.master.execute("UPDATE thing SET n = 3 WHERE id = 3").await?;
            setup.all_equal(&[terminal]).await?;
        }
        Ok(())
    });
}

/// A transaction that comes in parts, and small ones behind it in the same range.
#[test]
fn parts_of_a_large_transaction_do_not_disturb_what_follows() {
    test(async {
        let (setup, terminals) = loaded().await?;
        // Little that travels, and much that is held.
        let columns: String = (0..60).map(|n| format!(", c{n} int")).collect();
        setup.master.execute(&format!("CREATE TABLE wide (id int PRIMARY KEY{columns})")).await?;
        let mut setup = setup;
        setup.kill_capture()?;
        setup.captured().await?;
        for terminal in &terminals {
            setup.pull(terminal).await?;
        }
        setup.master.execute("INSERT INTO item VALUES (1, 500)").await?;
        setup
            .master
            .execute("INSERT INTO wide (id) SELECT i FROM generate_series(1, 3000) i")
            .await?;
        setup.master.execute("UPDATE other SET n = 1 WHERE id = 5").await?;
        setup.master.execute("UPDATE item SET n = 5 WHERE id = 1").await?;
        setup.master.execute("UPDATE other SET n = 1 WHERE id = 6").await?;
        setup.captured().await?;
        for terminal in &terminals {
            pull(&setup, terminal).await?;
            assert_eq!(held(terminal).await?, "2");
            assert_eq!(terminal.value("SELECT count(*) FROM wide").await?.as_deref(), Some("3000"));
            assert_eq!(terminal.value("SELECT sum(n) FROM other").await?.as_deref(), Some("2"));
            free(terminal).await?;
            let done = retry(terminal).await?;
            assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        }
        setup.all_equal(&terminals.each_ref()).await
    });
}

/// A large transaction is not kept aside.
#[test]
fn a_large_transaction_that_cannot_be_applied_stops_the_pull() {
    test(async {
        let (setup, terminals) = loaded().await?;
        setup
            .master
            .execute("INSERT INTO other SELECT i, 0 FROM generate_series(100, 110) i")
            .await?;
        setup
            .master
            .execute("INSERT INTO item SELECT i, i % 101 FROM generate_series(1, 50000) i")
            .await?;
        setup.captured().await?;
        for terminal in &terminals {
            let command = terminal.command(&setup.relay.url())?;
            let done = command.args(["--on-error", "quarantine"]).run(LIMIT).await?;
            assert_eq!(done.code, 1, "{}", done.stderr);
            assert!(done.stderr.contains("public.item"), "{}", done.stderr);
            assert_eq!(terminal.value("SELECT count(*) FROM item").await?.as_deref(), Some("0"));
            free(terminal).await?;
        }
        setup.all_equal(&terminals.each_ref()).await
    });
}

/// Whatever waits, in whatever order it came, and however often the terminal is killed: once nothing is in its way,
/// all is as at the source.
#[test]
fn random_histories_come_out_right_however_often_killed() {
    test(async {
        let (setup, terminals) = loaded().await?;
        let mut rng: StdRng = rng("quarantine");
        for _ in 0..6 {
            for _ in 0..40 {
                let (id, to) = (rng.random_range(1..15), rng.random_range(1..15));
                let n = if rng.random_range(0..6) == 0 { 500 } else { rng.random_range(0..100) };
                let sql = match rng.random_range(0..7) {
                    0 | 1 => format!(
                        "INSERT INTO item VALUES ({id}, {n}) ON CONFLICT (id) DO UPDATE SET n = excluded.n"
                    ),
                    2 => format!("UPDATE item SET n = {n} WHERE id = {id}"),
                    3 => format!(
                        "DELETE FROM item WHERE id = {id} AND NOT EXISTS (SELECT FROM child WHERE item = {id})"
                    ),
                    4 => format!(
                        "UPDATE other SET n = {n} WHERE id = {id}; UPDATE item SET n = {n} WHERE id = {to}"
                    ),
                    5 => format!(
                        "INSERT INTO child SELECT {to}, id FROM item WHERE id = {id} ON CONFLICT (id) DO UPDATE SET item = excluded.item"
                    ),
                    _ => format!("DELETE FROM child WHERE id = {id}"),
                };
                setup.master.execute(&sql).await?;
            }
            setup.captured().await?;
            for terminal in &terminals {
                let command = terminal.command(&setup.relay.url())?;
                let mut run = command.args(["--on-error", "quarantine"]).spawn()?;
                tokio::time::sleep(Duration::from_millis(rng.random_range(5..150))).await;
                run.kill()?;
                pull(&setup, terminal).await?;
                if rng.random_range(0..3) == 0 {
                    retry(terminal).await?;
                }
            }
        }
        for terminal in &terminals {
            free(terminal).await?;
            let done = retry(terminal).await?;
            assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        Ok(())
    });
}
