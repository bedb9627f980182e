//! Transactions that cannot be applied wait, and what changes the same rows waits behind them.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Finished, ProcessBuilder, Tables, binary, rng, test};
use rand::{Rng, rngs::StdRng};

use crate::setup::{LIMIT, SOURCE, Setup, Target, Terminal};

const TABLES: &str = "
    CREATE TABLE item (id int PRIMARY KEY, n int);
    CREATE TABLE other (id int PRIMARY KEY, n int);
    CREATE TABLE child (id int PRIMARY KEY, item int REFERENCES item);
    INSERT INTO other SELECT i, 0 FROM generate_series(1, 20) i";

/// Puts a constraint on the terminal's items that the source has not.
async fn constrain(terminal: &Terminal) -> Result<()> {
    terminal
        .execute(if terminal.is_sqlite() {
            // Triggers are off in our session.
            "CREATE INDEX small ON item (CASE WHEN n >= 100 THEN abs(-9223372036854775807 - 1 + n * 0) ELSE 0 END)"
        } else {
            "ALTER TABLE item ADD CONSTRAINT small CHECK (n < 100)"
        })
        .await
}

async fn free(terminal: &Terminal) -> Result<()> {
    terminal
        .execute(if terminal.is_sqlite() {
            "DROP INDEX small"
        } else {
            "ALTER TABLE item DROP CONSTRAINT small"
        })
        .await
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
