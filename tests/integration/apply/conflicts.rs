//! Changes that do not meet their rows, because something else wrote to the terminal's tables.

use anyhow::Result;
use harness::{Tables, rng, test};
use rand::{Rng, rngs::StdRng};

use crate::setup::{LIMIT, Options, SOURCE, Setup, Terminal};

const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, n int, big text);
    ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE loose (a text, n int);
    INSERT INTO t SELECT i, 0, repeat('x', 4000) FROM generate_series(1, 200) i;
    INSERT INTO loose SELECT 'a' || i % 50, i % 3 FROM generate_series(1, 200) i";

const KEYLESS: Options<'_> = Options { capture: &["--keyless", "full"], config: None };

async fn loaded(sql: &str) -> Result<(Setup, [Terminal; 2])> {
    let cluster = harness::Cluster::shared().await?;
    let setup = Setup::on(cluster, sql, KEYLESS).await?;
    let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
    for terminal in &terminals {
        setup.pull(terminal).await?;
    }
    Ok((setup, terminals))
}

/// How many conflicts of a kind the terminal has noted in a table.
async fn noted(terminal: &Terminal, table: &str, kind: &str) -> Result<u64> {
    let of = if terminal.is_sqlite() { "tailwater_conflicts" } else { "tailwater.conflicts" };
    let sql = format!(
        "SELECT coalesce(sum(count), 0) FROM {of} WHERE table_name = '{table}' AND kind = '{kind}'"
    );
    Ok(terminal.value(&sql).await?.unwrap_or_default().parse()?)
}

#[test]
fn the_sources_rows_are_brought_about_and_counted() {
    test(async {
        let (setup, terminals) = loaded(TABLES).await?;
        // What is done at the terminal, at the source, and how often that is noted in t and in loose.
        let cases = [
            ("DELETE FROM t WHERE id = 5", "DELETE FROM t WHERE id = 5", [1, 0, 0]),
            (
                "DELETE FROM t WHERE id = 6",
                "UPDATE t SET n = 1, big = 'all of it' WHERE id = 6",
                [1, 0, 0],
            ),
            (
                "INSERT INTO t VALUES (300, 9, 'theirs')",
                "INSERT INTO t VALUES (300, 1, 'ours')",
                [0, 1, 0],
            ),
            (
                "INSERT INTO t VALUES (301, 9, 'theirs')",
                "UPDATE t SET id = 301 WHERE id = 7",
                [0, 1, 0],
            ),
            (
                "DELETE FROM t WHERE id = 8",
                "UPDATE t SET id = 302, big = 'moved' WHERE id = 8",
                [1, 0, 0],
            ),
            (
                "UPDATE t SET id = 303 WHERE id = 9",
                "UPDATE t SET id = 303, n = 2, big = 'moved' WHERE id = 9",
                [1, 0, 0],
            ),
            (
                "DELETE FROM loose WHERE a = 'a1' AND n = 1",
                "UPDATE loose SET n = 7 WHERE a = 'a1' AND n = 1",
                [0, 0, 2],
            ),
            (
                "DELETE FROM loose WHERE a = 'a2' AND n = 2",
                "DELETE FROM loose WHERE a = 'a2' AND n = 2",
                [0, 0, 2],
            ),
            // Among many.
            (
                "DELETE FROM t WHERE id BETWEEN 20 AND 29",
                "UPDATE t SET n = n + 1, big = 'all' WHERE id < 100",
                [10, 0, 0],
            ),
            (
                "DELETE FROM t WHERE id BETWEEN 30 AND 34",
                "DELETE FROM t WHERE id BETWEEN 10 AND 110",
                [5, 0, 0],
            ),
            (
                "INSERT INTO t VALUES (450, 1, 'theirs'), (460, 2, 'theirs')",
                "INSERT INTO t SELECT i, 5, 'ours' FROM generate_series(400, 500) i",
                [0, 2, 0],
            ),
        ];
        for (here, there, expected) in cases {
            let mut before = Vec::new();
            for terminal in &terminals {
                terminal.execute(here).await?;
                before.push(counts(terminal).await?);
            }
            setup.master.execute(there).await?;
            setup.captured().await?;
            for (terminal, before) in terminals.iter().zip(before) {
                let done = setup.pull(terminal).await?;
                assert!(done.stderr.contains("changed at the target itself"), "{}", done.stderr);
                terminal.equals(&setup.master, &Tables::All).await?;
                let after = counts(terminal).await?;
                let [t, present, loose] = expected;
                assert_eq!(
                    after,
                    [before[0] + t, before[1] + present, before[2] + loose],
                    "{here}; {there}"
                );
            }
        }
        let lag = setup.relay.lag(SOURCE).await?;
        for terminal in &terminals {
            let told = &lag.terminal(&terminal.name).expect("it reported").divergence;
            let [t, present, loose] = counts(terminal).await?;
            assert_eq!((told.row_missing, told.row_present), (t + loose, present));
        }
        Ok(())
    });
}

/// Of t that were missing and present, of loose that were missing; none before the first.
async fn counts(terminal: &Terminal) -> Result<[u64; 3]> {
    let there = if terminal.is_sqlite() {
        "SELECT count(*) FROM sqlite_schema WHERE name = 'tailwater_conflicts'"
    } else {
        "SELECT count(*) FROM pg_class WHERE relname = 'conflicts'"
    };
    if terminal.value(there).await?.as_deref() == Some("0") {
        return Ok([0; 3]);
    }
    Ok([
        noted(terminal, "public.t", "row-missing").await?,
        noted(terminal, "public.t", "row-present").await?,
        noted(terminal, "public.loose", "row-missing").await?,
    ])
}

/// What the change does not carry cannot be made up.
#[test]
fn a_row_that_is_missing_in_part_stops_the_pull() {
    test(async {
        let (setup, terminals) = loaded(TABLES).await?;
        for terminal in &terminals {
            terminal.execute("DELETE FROM t WHERE id = 5").await?;
        }
        setup.master.execute("INSERT INTO t VALUES (900, 1, 'before')").await?;
        setup.master.execute("UPDATE t SET n = 1 WHERE id = 5").await?;
        setup.captured().await?;
        for terminal in &terminals {
            let done = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
            assert_eq!(done.code, 1, "{}", done.stderr);
            for said in ["(id=5)", "does not carry the value of its column \"big\"", "reload"] {
                assert!(done.stderr.contains(said), "{}", done.stderr);
            }
            terminal.execute("INSERT INTO t SELECT 5, 0, big FROM t WHERE id = 6").await?;
        }
        setup.all_equal(&terminals.each_ref()).await
    });
}

#[test]
fn told_to_stop_it_stops_and_applies_nothing() {
    test(async {
        let (setup, terminals) = loaded(TABLES).await?;
        for terminal in &terminals {
            terminal
                .execute("DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (300, 9, 'theirs')")
                .await?;
        }
        let cases = [
            (
                "DELETE FROM t WHERE id = 5",
                "the row is not there",
                "INSERT INTO t SELECT 5, 0, big FROM t WHERE id = 6",
            ),
            (
                "INSERT INTO t VALUES (300, 1, 'ours')",
                "is there already",
                "DELETE FROM t WHERE id = 300",
            ),
        ];
        for (change, said, mend) in cases {
            setup.master.execute(change).await?;
            setup.captured().await?;
            for terminal in &terminals {
                let position = terminal.position().await?;
                let command = terminal.command(&setup.relay.url())?;
                let done = command.args(["--on-conflict", "stop"]).run(LIMIT).await?;
                assert_eq!(done.code, 1, "{}", done.stderr);
                for said in [said, "--on-conflict apply"] {
                    assert!(done.stderr.contains(said), "{}", done.stderr);
                }
                assert_eq!(terminal.position().await?, position);
                assert_eq!(counts(terminal).await?, [0; 3]);
                terminal.execute(mend).await?;
            }
        }
        setup.all_equal(&terminals.each_ref()).await
    });
}

/// A row that the source only spells otherwise is no other, and two rows of one key are not settled by a second try.
#[test]
fn equal_keys_and_rows_that_are_there_twice() {
    test(async {
        let (setup, terminals) = loaded(
            "CREATE TABLE t (id numeric PRIMARY KEY, n int); INSERT INTO t VALUES (1.0, 0), (2, 0), (3, 0)",
        )
        .await?;
        for terminal in &terminals {
            terminal.execute("DELETE FROM t WHERE n = 0 AND id IN (2, '2')").await?;
        }
        setup
            .master
            .execute("UPDATE t SET n = 1 WHERE id = 2; UPDATE t SET id = 1.00 WHERE id = 1")
            .await?;
        setup.all_equal(&terminals.each_ref()).await?;
        let till = &terminals[1];
        let twice = "CREATE TABLE copy AS SELECT * FROM t; DROP TABLE t; ALTER TABLE copy RENAME TO t; INSERT INTO t SELECT * FROM t WHERE id = '3'";
        till.execute(twice).await?;
        setup.master.execute("DELETE FROM t WHERE id = 3").await?;
        setup.captured().await?;
        let done = till.command(&setup.relay.url())?.run(LIMIT).await?;
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains("2 rows instead of one"), "{}", done.stderr);
        assert_eq!(
            till.value("SELECT count(*) FROM t WHERE id = '3'").await?.as_deref(),
            Some("2")
        );
        Ok(())
    });
}

/// Keys at random are removed, written or taken at the terminals; then the source changes them all.
#[test]
fn whatever_was_done_to_rows_the_source_changes_them_back() {
    test(async {
        const ROWS: i32 = 40;
        let sql = format!(
            "CREATE TABLE t (id int PRIMARY KEY, n int, v text); INSERT INTO t SELECT i, 0, 'v' FROM generate_series(1, {ROWS}) i"
        );
        let (setup, terminals) = loaded(&sql).await?;
        let mut rng: StdRng = rng("conflicts");
        for round in 0..12 {
            for terminal in &terminals {
                for _ in 0..rng.random_range(1..25) {
                    let id = rng.random_range(1..=ROWS + 20);
                    terminal
                        .execute(&match rng.random_range(0..3) {
                            0 => format!("DELETE FROM t WHERE id = {id}"),
                            1 => format!(
                                "INSERT INTO t VALUES ({id}, -1, 'theirs') ON CONFLICT DO NOTHING"
                            ),
                            _ => format!("UPDATE t SET n = -2, v = 'theirs' WHERE id = {id}"),
                        })
                        .await?;
                }
            }
            let mut all = String::new();
            for id in 1..=ROWS + 20 {
                let once = match rng.random_range(0..4) {
                    0 => format!("DELETE FROM t WHERE id = {id}"),
                    1 => format!(
                        "UPDATE t SET id = {id} WHERE id = (SELECT min(id) FROM t WHERE id > {ROWS}) AND NOT EXISTS (SELECT FROM t WHERE id = {id})"
                    ),
                    _ => format!("UPDATE t SET n = {round}, v = 'v{id}' WHERE id = {id}"),
                };
                all.push_str(&once);
                all.push(';');
                if rng.random_range(0..4) == 0 {
                    setup.master.execute(&std::mem::take(&mut all)).await?;
                }
            }
            // Nothing of theirs is left to chance: each key is written, or removed, last of all.
            all.push_str(&format!(
                "INSERT INTO t SELECT i, {round}, 'last' FROM generate_series(1, {ROWS} + 20) i ON CONFLICT (id) DO UPDATE SET n = excluded.n, v = excluded.v;
                 DELETE FROM t WHERE id % 7 = {round} % 7"
            ));
            setup.master.execute(&all).await?;
            setup.all_equal(&terminals.each_ref()).await?;
        }
        Ok(())
    });
}
