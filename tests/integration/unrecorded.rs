//! Schema changes that nothing records (without `--ddl`): what relation messages tell for certain is applied,
//! everything else stops a terminal before the transaction, with the statements to run.

use anyhow::{Context, Result};
use harness::{Tables, test};

use crate::setup::{LIMIT, Setup, Terminal};

const T: &str = "CREATE TABLE t (id int PRIMARY KEY, a text, b int); INSERT INTO t SELECT i, 'a' || i, i FROM generate_series(1, 20) i;
    CREATE TABLE u (id int PRIMARY KEY)";

/// A master, and a terminal of each kind that is loaded.
async fn loaded(sql: &str) -> Result<(Setup, [Terminal; 2])> {
    let setup = Setup::shared(sql).await?;
    let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
    setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
    Ok((setup, terminals))
}

/// Pulls, which must end with 1; what it said.
async fn stopped(setup: &Setup, terminal: &Terminal) -> Result<String> {
    setup.captured().await?;
    let done = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
    assert_eq!(done.code, 1, "{}: {}", terminal.name, done.stderr);
    Ok(done.stderr)
}

/// The statement of the advice that begins so, up to what ends it.
fn advised<'a>(said: &'a str, begins: &str) -> Result<&'a str> {
    let at = said.find(begins).with_context(|| format!("no '{begins}' in: {said}"))?;
    let rest = said.get(at..).unwrap_or_default();
    let end = ["; ", ", so that", ", then", " (to", ". Then"]
        .iter()
        .filter_map(|end| rest.find(end))
        .min();
    Ok(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default())
}

/// All before it is applied, nothing of it; with the statement the pull goes on.
#[test]
fn a_column_that_is_dropped_stops_before_its_transaction() {
    test(async {
        let (setup, terminals) = loaded(T).await?;
        for terminal in &terminals {
            terminal.execute("ALTER TABLE t ADD COLUMN own text").await?;
        }
        // In one pull with changes of the old shape.
        setup.master.execute("INSERT INTO t VALUES (30, 'x', 1); INSERT INTO u VALUES (1)").await?;
        setup.master.execute("ALTER TABLE t DROP COLUMN a").await?;
        setup
            .master
            .execute("BEGIN; INSERT INTO u VALUES (2); INSERT INTO t VALUES (31, 2); COMMIT")
            .await?;
        for terminal in &terminals {
            for _ in 0..2 {
                let said = stopped(&setup, terminal).await?;
                assert!(said.contains("table public.t") && said.contains("\"a\""), "{said}");
                assert!(!said.contains("RENAME"), "{said}");
                assert_eq!(terminal.value("SELECT count(*) FROM u").await?.as_deref(), Some("1"));
                assert_eq!(terminal.value("SELECT max(id) FROM t").await?.as_deref(), Some("30"));
            }
            let said = stopped(&setup, terminal).await?;
            terminal.execute(advised(&said, "ALTER TABLE")?).await?;
            setup.pull(terminal).await?;
            terminal.execute("ALTER TABLE t DROP COLUMN own").await?;
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        Ok(())
    });
}

#[test]
fn a_column_that_is_renamed_is_told_of_as_one_that_may_be() {
    test(async {
        let (setup, terminals) = loaded(T).await?;
        setup.master.execute("UPDATE t SET b = 7 WHERE id = 1").await?;
        setup
            .master
            .execute("ALTER TABLE t RENAME a TO c; UPDATE t SET c = 'new' WHERE id = 2")
            .await?;
        for terminal in &terminals {
            let said = stopped(&setup, terminal).await?;
            assert!(
                said.contains("DROP COLUMN \"a\"") && said.contains("ADD COLUMN \"c\""),
                "{said}"
            );
            assert_eq!(terminal.value("SELECT b FROM t WHERE id = 1").await?.as_deref(), Some("7"));
            terminal.execute(advised(&said, "ALTER TABLE")?).await?;
        }
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

#[test]
fn a_table_that_is_renamed_stops_before_its_first_change() {
    test(async {
        let (setup, terminals) = loaded(T).await?;
        setup
            .master
            .execute("ALTER TABLE t RENAME TO v; INSERT INTO v VALUES (40, 'v', 4)")
            .await?;
        for terminal in &terminals {
            let said = stopped(&setup, terminal).await?;
            terminal.execute(advised(&said, "ALTER TABLE")?).await?;
        }
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// Whether the rows that are there have a value in it on the master, nothing tells; but where there are none.
#[test]
fn a_new_column_is_added_where_there_are_no_rows() {
    test(async {
        let (setup, terminals) = loaded(T).await?;
        let new = "ALTER TABLE u ADD n numeric(8,2); ALTER TABLE u ADD at timestamptz DEFAULT now(); INSERT INTO u VALUES (1, 1.5); INSERT INTO u SELECT 2";
        setup.master.execute(new).await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        setup.master.execute("ALTER TABLE u ADD k int DEFAULT 5; UPDATE u SET k = 6 WHERE id = 1; INSERT INTO t (id) VALUES (50)").await?;
        for terminal in &terminals {
            let said = stopped(&setup, terminal).await?;
            assert!(said.contains("ADD COLUMN \"k\"") && said.contains("reload"), "{said}");
            let shape = match terminal.is_sqlite() {
                true => "SELECT count(*) FROM pragma_table_info('u') WHERE name = 'k'",
                false => {
                    "SELECT count(*) FROM pg_attribute WHERE attrelid = 'u'::regclass AND attname = 'k'"
                }
            };
            assert_eq!(terminal.value(shape).await?.as_deref(), Some("0"));
        }
        Ok(())
    });
}

/// What is known of a table goes with a partition tree: columns are dropped at its top.
#[test]
fn a_column_of_a_partitioned_table_is_dropped_at_its_top() {
    test(async {
        let before = "CREATE TABLE p (id int PRIMARY KEY, a text, b int) PARTITION BY LIST (id);
            CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1, 2); CREATE TABLE p2 PARTITION OF p DEFAULT; INSERT INTO p VALUES (1, 'x', 1), (9, 'y', 9)";
        let (setup, [store, till]) = loaded(before).await?;
        setup
            .master
            .execute("ALTER TABLE p DROP COLUMN a; INSERT INTO p VALUES (2, 2), (3, 3)")
            .await?;
        let said = stopped(&setup, &store).await?;
        store.execute(advised(&said, "ALTER TABLE")?).await?;
        setup.pull(&store).await?;
        store.equals(&setup.master, &Tables::All).await?;
        for _ in 0..2 {
            let said = stopped(&setup, &till).await?;
            till.execute(advised(&said, "ALTER TABLE")?).await?;
        }
        setup.all_equal(&[&store, &till]).await
    });
}

/// Rows of the old shape and of the new one come in one pull: the ones before are there when it is looked.
#[test]
fn a_new_column_is_looked_at_behind_the_rows_before_it() {
    test(async {
        let (setup, terminals) = loaded(T).await?;
        setup.master.execute("INSERT INTO u VALUES (1)").await?;
        setup
            .master
            .execute("ALTER TABLE u ADD k int DEFAULT 5; INSERT INTO u VALUES (2, 6)")
            .await?;
        for terminal in &terminals {
            let said = stopped(&setup, terminal).await?;
            assert!(said.contains("ADD COLUMN \"k\""), "{said}");
            assert_eq!(terminal.value("SELECT count(*) FROM u").await?.as_deref(), Some("1"));
            let add = "ALTER TABLE u ADD COLUMN k int DEFAULT 5";
            terminal.execute(add).await?;
        }
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// One partition without rows says nothing of the others.
#[test]
fn a_new_column_of_a_partitioned_table_is_added_where_all_of_it_is_empty() {
    test(async {
        let before = "CREATE TABLE p (id int PRIMARY KEY, b int) PARTITION BY LIST (id);
            CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1, 2); CREATE TABLE p2 PARTITION OF p DEFAULT; INSERT INTO p VALUES (9, 9)";
        let (setup, [store, _]) = loaded(before).await?;
        setup
            .master
            .execute("ALTER TABLE p ADD k int DEFAULT 5; INSERT INTO p VALUES (1, 1, 1)")
            .await?;
        let said = stopped(&setup, &store).await?;
        assert!(said.contains("ADD COLUMN \"k\""), "{said}");
        store.execute("ALTER TABLE p ADD COLUMN k int DEFAULT 5").await?;
        setup.pull(&store).await?;
        store.equals(&setup.master, &Tables::All).await
    });
}

/// A name that another table has by now: its rows are not those that are here.
#[test]
fn tables_that_change_places_stop_a_terminal() {
    test(async {
        let before = "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1);
            CREATE TABLE next (id int PRIMARY KEY, n int); INSERT INTO next VALUES (1, 2)";
        let (setup, terminals) = loaded(before).await?;
        setup
            .master
            .execute("BEGIN; ALTER TABLE t RENAME TO old; ALTER TABLE next RENAME TO t; COMMIT; UPDATE t SET n = 3")
            .await?;
        for terminal in &terminals {
            let said = stopped(&setup, terminal).await?;
            assert!(said.contains("is another one on the master"), "{said}");
            assert_eq!(terminal.value("SELECT n FROM t").await?.as_deref(), Some("1"));
            terminal.execute("ALTER TABLE t RENAME TO old").await?;
            terminal.execute("ALTER TABLE next RENAME TO t").await?;
        }
        setup.master.execute("INSERT INTO old VALUES (2, 2)").await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

#[test]
fn a_table_that_is_made_anew_stops_a_terminal_that_has_rows_of_the_other() {
    test(async {
        let (mut setup, terminals) = loaded(T).await?;
        setup
            .master
            .execute("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, a text, b int)")
            .await?;
        setup.kill_capture()?;
        setup.captured().await?;
        let published = "SELECT count(*) FROM pg_publication_tables WHERE tablename = 't'";
        harness::eventually("the new table is published", LIMIT, async || {
            Ok(setup.master.value(published).await?.as_deref() == Some("1"))
        })
        .await?;
        setup.master.execute("INSERT INTO t VALUES (1, 'new', 1)").await?;
        for terminal in &terminals {
            let said = stopped(&setup, terminal).await?;
            assert!(said.contains("is another one on the master"), "{said}");
            assert_eq!(terminal.value("SELECT count(*) FROM t").await?.as_deref(), Some("20"));
            terminal.execute(advised(&said, "DELETE FROM")?).await?;
        }
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// A table joins with rows, is changed and goes again, before any snapshot has it that a late terminal meets.
#[test]
fn a_table_that_joined_and_went_again_is_passed_over() {
    test(async {
        let (mut setup, terminals) = loaded(T).await?;
        let (late, file) = (setup.postgres("late").await?, setup.sqlite("file")?);
        setup.all_equal(&[&late, &file]).await?;
        for (table, then) in [
            (
                "brief",
                "UPDATE brief SET n = 2; INSERT INTO brief VALUES (2, 2); TRUNCATE brief; INSERT INTO brief VALUES (3, 3); DROP TABLE brief",
            ),
            ("stays", "UPDATE stays SET n = 2"),
        ] {
            let make = format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, n int); INSERT INTO {table} VALUES (1, 1)"
            );
            setup.master.execute(&make).await?;
            setup.kill_capture()?;
            let published =
                format!("SELECT count(*) FROM pg_publication_tables WHERE tablename = '{table}'");
            harness::eventually("the table is published", LIMIT, async || {
                Ok(setup.master.value(&published).await?.as_deref() == Some("1"))
            })
            .await?;
            for terminal in &terminals {
                setup.captured().await?;
                setup.pull(terminal).await?;
            }
            setup.master.execute(then).await?;
        }
        setup.captured().await?;
        for terminal in [&late, &file] {
            setup.pull(terminal).await?;
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        Ok(())
    });
}
