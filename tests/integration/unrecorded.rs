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
