//! Reloads that are not made, and leave everything as it was.

use anyhow::{Context, Result};
use harness::{Cluster, RelayProcess, Tables, test};

use super::killed::interrupted;
use crate::{
    first_load::MUCH,
    setup::{LIMIT, Setup, Target, Terminal, capture_command},
};

const SMALL: &str = "CREATE TABLE t (id int PRIMARY KEY, note text, n int);
    INSERT INTO t SELECT n, 'x', n FROM generate_series(1, 50) n";

async fn refused(setup: &Setup, terminal: &Terminal, code: i32, words: &[&str]) -> Result<()> {
    let done = terminal.reload_command(&setup.relay.url())?.run(LIMIT).await?;
    assert_eq!(done.code, code, "{}", done.stderr);
    for word in words {
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
    }
    Ok(())
}

/// Another history is never loaded over this one, not even to finish a reload that was begun.
#[test]
fn another_history_is_never_loaded_over_this_one() {
    test(async {
        let setup = Setup::shared(MUCH).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
        }
        interrupted(&setup, &terminals[0]).await?;
        let other = Cluster::shared().await?.database().await?;
        other.execute(MUCH).await?;
        other.execute("DELETE FROM small").await?;
        let relay = RelayProcess::builder().start().await?;
        let capture = capture_command(&other, &relay.url())?.spawn()?;
        let foreign = Setup::assembled(other, relay, capture);
        foreign.captured().await?;
        for terminal in &terminals {
            let words = ["one is never loaded over the other", "pull into a new database"];
            refused(&foreign, terminal, 3, &words).await?;
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        let done = terminals[0].command(&foreign.relay.url())?.run(LIMIT).await?;
        assert_eq!(done.code, 3, "{}", done.stderr);
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// All rows are exchanged, so that columns can be, too; but for one that a view reads.
#[test]
fn a_table_in_another_shape_gets_that_of_the_snapshot() {
    test(async {
        let setup = Setup::shared(SMALL).await?;
        for terminal in [setup.postgres("store").await?, setup.sqlite("till")?] {
            setup.pull(&terminal).await?;
            terminal.execute("DELETE FROM t WHERE id = 1; ALTER TABLE t DROP COLUMN note").await?;
            if terminal.is_sqlite() {
                let sql = "ALTER TABLE t DROP COLUMN n; ALTER TABLE t ADD COLUMN n TEXT";
                terminal.execute(sql).await?;
            } else {
                let sql = "ALTER TABLE t ALTER COLUMN n TYPE date USING NULL, ADD COLUMN own int NOT NULL DEFAULT 1;
                    ALTER TABLE t ALTER COLUMN own DROP DEFAULT; CREATE VIEW v AS SELECT n FROM t";
                terminal.execute(sql).await?;
                // What only the exchange would meet is found before the first row comes.
                refused(&setup, &terminal, 1, &["public.t", "view public.v reads them"]).await?;
                let rows = terminal.value("SELECT count(*) FROM t").await?;
                assert_eq!(rows.as_deref(), Some("49"));
                // No reload was begun: nothing but a pull goes on.
                let done = setup.pull(&terminal).await?;
                assert!(!done.stderr.contains("reload"), "{}", done.stderr);
                let sql = "DROP VIEW v; ALTER TABLE t DROP COLUMN n, ADD COLUMN n int GENERATED ALWAYS AS (id) STORED";
                terminal.execute(sql).await?;
            }
            setup.reload(&terminal).await?;
            if !terminal.is_sqlite() {
                terminal.execute("ALTER TABLE t DROP COLUMN own").await?;
            }
            setup.all_equal(&[&terminal]).await?;
        }
        Ok(())
    });
}

/// A trigger that swallows rows, even under replication; a run that holds the target.
#[test]
fn what_does_not_end_well_changes_nothing() {
    test(async {
        let setup = Setup::shared(SMALL).await?;
        let terminal = setup.postgres("store").await?;
        setup.pull(&terminal).await?;
        let swallow = "DELETE FROM t WHERE id < 3;
            CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF new.id = 7 THEN RETURN NULL; END IF; RETURN new; END';
            CREATE TRIGGER swallow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION swallow();
            ALTER TABLE t ENABLE ALWAYS TRIGGER swallow";
        terminal.execute(swallow).await?;
        refused(&setup, &terminal, 1, &["has 49 rows where the snapshot's 50 were put"]).await?;
        let rows = terminal.value("SELECT count(*) FROM t").await?;
        assert_eq!(rows.as_deref(), Some("48"));
        terminal.execute("DROP TRIGGER swallow ON t").await?;
        setup.reload(&terminal).await?;
        setup.all_equal(&[&terminal]).await?;

        let mut follower = terminal.command(&setup.relay.url())?.arg("--follow").spawn()?;
        let position = setup.position().await?;
        setup.relay.wait_applied(crate::setup::SOURCE, "store", position, LIMIT).await.ok();
        refused(&setup, &terminal, 4, &["another run is pulling orders into this target"]).await?;
        assert!(follower.is_running()?);
        follower.stop().await?;
        Ok(())
    });
}

/// Where triggers and keys cannot be turned off, rows that refer to each other are exchanged all the
/// same; rows of the target's own that would go with them are not.
#[test]
fn keys_that_act_are_met_or_refused() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int);
             INSERT INTO a SELECT n, n FROM generate_series(1, 50) n; INSERT INTO b SELECT n, n FROM generate_series(1, 50) n;
             CREATE TABLE none (); ALTER TABLE none REPLICA IDENTITY FULL; INSERT INTO none DEFAULT VALUES; INSERT INTO none DEFAULT VALUES",
        )
        .await?;
        let terminal = setup.postgres("store").await?;
        let Target::Postgres(target) = &terminal.target else { unreachable!() };
        let url = target.plain_url().await?;
        let run = async |kind: &str| {
            let relay = setup.relay.url();
            let command = match kind {
                "pull" => harness::terminal(&relay, "orders", &url, "store")?,
                _ => harness::reload(&relay, "orders", &url, "store")?,
            };
            command.run(LIMIT).await
        };
        let done = run("pull").await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        target
            .execute(
                "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b; ALTER TABLE b ADD FOREIGN KEY (a) REFERENCES a ON DELETE CASCADE;
                 CREATE TABLE note (a int REFERENCES a ON DELETE CASCADE, t text); INSERT INTO note VALUES (1, 'mine');
                 UPDATE a SET b = 3 WHERE id = 4",
            )
            .await?;
        let done = run("reload").await?;
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(
            done.stderr.contains("note") && done.stderr.contains("would delete"),
            "{}",
            done.stderr
        );
        target.execute("ALTER TABLE note DROP CONSTRAINT note_a_fkey").await?;
        let done = run("reload").await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        terminal.equals(&setup.master, &Tables::All).await?;
        let kept = target.value("SELECT t FROM note").await?.context("the note is gone")?;
        assert_eq!(kept, "mine");
        Ok(())
    });
}
