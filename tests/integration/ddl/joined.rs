//! Tables that join with rows in them: the terminals take these from the snapshot that capture takes then.

use harness::{Tables, test};

use super::{followed::same, recorded, rows_needed::fetch, told};
use crate::setup::LIMIT;

const U: &str = "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)";

#[test]
fn a_table_joins_when_it_gets_its_key() {
    test(async {
        fetch(U, &[], &[
            &[
                "CREATE TABLE a AS SELECT i AS id, 'a' || i AS t FROM generate_series(1, 30) i",
                "UPDATE a SET t = 'before' WHERE id = 7",
                "ALTER TABLE a ADD PRIMARY KEY (id)",
                "UPDATE a SET t = 'after' WHERE id < 4; DELETE FROM a WHERE id = 5; INSERT INTO a VALUES (40, 'new')",
                "INSERT INTO u VALUES (2)",
            ],
            &["UPDATE a SET id = id + 100; DELETE FROM u WHERE id = 1"],
            &[
                "SELECT i AS id, i AS n INTO b FROM generate_series(1, 9) i; ALTER TABLE b ALTER id SET NOT NULL; CREATE UNIQUE INDEX b_id ON b (id)",
                "ALTER TABLE b REPLICA IDENTITY USING INDEX b_id",
                "DELETE FROM b WHERE id > 7; ALTER TABLE b ADD c int DEFAULT 3; UPDATE b SET n = n + 1",
            ],
            // Some of its rows come before the key, some behind it, in one transaction.
            &[
                "BEGIN; INSERT INTO u VALUES (7); CREATE TABLE c (id int); INSERT INTO c VALUES (1), (2); ALTER TABLE c ADD PRIMARY KEY (id); INSERT INTO c VALUES (3); UPDATE c SET id = 10 WHERE id = 1; INSERT INTO u VALUES (8); COMMIT",
                "INSERT INTO c VALUES (4)",
            ],
            &[
                "CREATE TABLE d (id int, t text); INSERT INTO d VALUES (1, 'one'), (1, 'one'), (2, NULL)",
                "ALTER TABLE d REPLICA IDENTITY FULL",
                "DELETE FROM d WHERE t IS NULL; UPDATE d SET t = t || '!' WHERE id = 1; INSERT INTO d VALUES (1, 'one!')",
                "TRUNCATE c, u",
            ],
            // It is gone again before the snapshot.
            &["CREATE TABLE e AS SELECT 1 AS id; ALTER TABLE e ADD PRIMARY KEY (id); INSERT INTO e VALUES (2)", "DROP TABLE e"],
            &["CREATE TABLE p (id int, t text) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1, 2); INSERT INTO p VALUES (1, 'x')", "ALTER TABLE p ADD PRIMARY KEY (id)", "INSERT INTO p VALUES (2, 'y')"],
        ])
        .await
    });
}

#[test]
fn keyless_tables_join_as_they_are_made() {
    test(async {
        fetch(U, &["--keyless", "full"], &[
            &[
                "CREATE TABLE a AS SELECT i AS id, 'a' || i AS t FROM generate_series(1, 30) i",
                "UPDATE a SET t = 'after' WHERE id < 4; DELETE FROM a WHERE id = 5; INSERT INTO a VALUES (40, 'new'), (40, 'new')",
            ],
            &["SELECT 1 AS x INTO b", "INSERT INTO b VALUES (1)"],
            &["ALTER TABLE a ADD c int DEFAULT 9", "DELETE FROM a WHERE id > 20"],
        ])
        .await
    });
}

/// A transaction that sees the table as it was before other rows came.
#[test]
fn rows_that_the_transaction_does_not_see_are_not_forgotten() {
    test(async {
        let setup =
            recorded(&format!("{U}; CREATE TABLE late (id int)"), &["--keyless", "skip"]).await?;
        let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
        setup.captured().await?;
        for terminal in [&postgres, &sqlite] {
            setup.pull(terminal).await?;
        }
        let other = setup.master.connect().await?;
        other.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM u").await?;
        setup.master.execute("INSERT INTO late VALUES (1), (2)").await?;
        other.batch_execute("ALTER TABLE late ADD PRIMARY KEY (id); COMMIT").await?;
        same(&setup, &[&postgres, &sqlite], "a key").await
    });
}

/// What the terminals have of the table gives way to what it is when it comes back.
#[test]
fn a_table_that_left_comes_back_with_its_rows() {
    test(async {
        // As it is installed, for a publication of the user's own must list it before.
        let ours = include_str!("../../../capture/src/ddl/tables.sql");
        let before = format!(
            "{ours}; CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT i, i FROM generate_series(1, 20) i;
            CREATE TABLE u (id int PRIMARY KEY); CREATE PUBLICATION mine FOR TABLE t, u, tailwater.schema_changes"
        );
        let setup = recorded(&before, &["--publication", "mine"]).await?;
        let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
        let terminals = [&postgres, &sqlite];
        setup.all_equal(&terminals).await?;
        setup.master.execute("INSERT INTO t VALUES (30, 30); INSERT INTO u VALUES (1)").await?;
        setup.all_equal(&terminals).await?;
        let late = setup.postgres("late").await?;
        setup.pull(&late).await?;
        setup.master.execute("ALTER PUBLICATION mine DROP TABLE t").await?;
        let meanwhile = "UPDATE t SET a = -a WHERE id < 9; DELETE FROM t WHERE id = 9; INSERT INTO t VALUES (31, 31); ALTER TABLE t ADD n int DEFAULT 4";
        setup.master.execute(meanwhile).await?;
        setup.captured().await?;
        setup.pull(&sqlite).await?;
        setup.master.execute("ALTER PUBLICATION mine ADD TABLE t").await?;
        setup.master.execute("UPDATE t SET n = id WHERE id > 15; INSERT INTO u VALUES (2)").await?;
        assert_eq!(told(&setup.master).await?.last().unwrap()["rows_needed"], true);
        setup.all_equal(&[&postgres, &sqlite, &late]).await
    });
}

/// Nobody is kept from writing to it: a row may come before the table does, and be committed after it.
#[test]
fn rows_that_are_on_their_way_when_a_table_joins_a_publication_of_the_users_own_come_too() {
    test(async {
        let ours = include_str!("../../../capture/src/ddl/tables.sql");
        let before = format!(
            "{ours}; CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY);
            CREATE PUBLICATION mine FOR TABLE u, tailwater.schema_changes"
        );
        let setup = recorded(&before, &["--publication", "mine"]).await?;
        let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
        for terminal in [&postgres, &sqlite] {
            setup.pull(terminal).await?;
        }
        let writer = setup.master.connect().await?;
        writer.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await?;
        setup.master.execute("ALTER PUBLICATION mine ADD TABLE t").await?;
        writer.batch_execute("INSERT INTO t VALUES (2); COMMIT").await?;
        setup.master.execute("INSERT INTO t VALUES (3)").await?;
        setup.all_equal(&[&postgres, &sqlite]).await
    });
}

/// Rows that the terminal's own people put into a table of that name are theirs.
#[test]
fn a_table_of_the_terminals_own_is_not_emptied() {
    test(async {
        let setup = recorded(U, &[]).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
            terminal
                .execute(
                    "CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a VALUES (77, 'own')",
                )
                .await?;
        }
        setup
            .master
            .execute(
                "CREATE TABLE a AS SELECT 1 AS id, 'x' AS t; ALTER TABLE a ADD PRIMARY KEY (id)",
            )
            .await?;
        setup.captured().await?;
        for terminal in &terminals {
            let done = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
            assert!(done.code == 1 && done.stderr.contains("rows of its own"), "{}", done.stderr);
            assert_eq!(terminal.value("SELECT t FROM a").await?.as_deref(), Some("own"));
            terminal.execute("DELETE FROM a").await?;
            setup.pull(terminal).await?;
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        Ok(())
    });
}
