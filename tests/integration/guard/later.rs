//! What becomes of guarded tables, and tables that come later.

use anyhow::Result;
use harness::{Cluster, test};

use super::Guarded;
use crate::setup::{Options, Setup};

const BEFORE: &str = "
    CREATE TABLE a (id int PRIMARY KEY, n int, gone text); INSERT INTO a SELECT i, i FROM generate_series(1, 40) i;
    CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)";

/// Runs the statements one by one; after each, all terminals are as the master, and refuse others on the tables that
/// they have then: all of them, whether the list is complete or not, is for [`guards_all`] to say.
async fn follow(capture: &[&str], steps: &[&str]) -> Result<()> {
    let capture = [&["--keyless", "full"], capture].concat();
    let options = Options { capture: &capture, config: None };
    let setup = Setup::on(Cluster::shared().await?, BEFORE, options).await?;
    let all = Guarded::three(&setup).await?;
    for of in &all {
        of.pull(&setup, &["--guard"]).await?;
        guards_all(of, "the first load").await?;
    }
    for sql in steps {
        setup.master.execute(sql).await?;
        for of in &all {
            of.equals(&setup).await?;
            guards_all(of, sql).await?;
        }
    }
    for of in all {
        of.end().await?;
    }
    Ok(())
}

/// Each table that is the source's refuses a statement of each kind; it changes nothing where it is taken.
async fn guards_all(of: &Guarded, after: &str) -> Result<()> {
    let tables = match of.terminal.is_sqlite() {
        true => {
            "SELECT group_concat('\"' || name || '\"', '|') FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'tailwater_%' AND name NOT LIKE 'sqlite_%'"
        }
        false => {
            "SELECT string_agg(c.oid::regclass::text, '|') FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        }
    };
    let tables = of.terminal.value(tables).await?.unwrap_or_default();
    assert!(tables.contains('a'), "no tables after {after}: {tables}");
    for table in tables.split('|') {
        match of.terminal.is_sqlite() {
            // A trigger of SQLite's acts on rows.
            true => {
                let insert = format!("INSERT INTO {table} DEFAULT VALUES");
                of.refuses(&[insert.as_str()]).await;
                let rows = of.terminal.value(&format!("SELECT count(*) FROM {table}")).await?;
                if rows.as_deref() != Some("0") {
                    of.refuses(&[format!("DELETE FROM {table}").as_str()]).await;
                }
            }
            false => {
                let (delete, truncate, insert) = (
                    format!("DELETE FROM {table} WHERE false"),
                    format!("TRUNCATE {table}"),
                    format!("INSERT INTO {table} DEFAULT VALUES"),
                );
                of.refuses(&[&delete, &truncate, &insert]).await;
            }
        }
    }
    Ok(())
}

#[test]
fn schema_changes_leave_it_on() {
    test(async {
        follow(&["--ddl"], &[
            "ALTER TABLE a ADD c int; UPDATE a SET c = n WHERE id < 9",
            "ALTER TABLE a RENAME n TO m; UPDATE a SET m = 1 WHERE id = 3",
            "ALTER TABLE a DROP gone; INSERT INTO a VALUES (50, 1, 1)",
            "ALTER TABLE a ALTER m TYPE text; UPDATE a SET m = 'x' WHERE id < 9",
            "ALTER TABLE a ALTER c TYPE bigint USING c + 1; INSERT INTO a VALUES (51, '', 1)",
            "ALTER TABLE a DROP CONSTRAINT a_pkey; ALTER TABLE a REPLICA IDENTITY FULL; DELETE FROM a WHERE id = 9",
            "ALTER TABLE a ADD PRIMARY KEY (id); UPDATE a SET c = 0 WHERE id < 9",
            // Another one takes its name.
            "ALTER TABLE a RENAME TO b; CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); UPDATE b SET m = 'y' WHERE id = 1",
            "BEGIN; ALTER TABLE a RENAME TO x; ALTER TABLE b RENAME TO a; ALTER TABLE x RENAME TO b; COMMIT; INSERT INTO b VALUES (2)",
            "CREATE TABLE rows AS SELECT i AS id FROM generate_series(1, 9) i; ALTER TABLE rows ADD PRIMARY KEY (id); INSERT INTO rows VALUES (10)",
            "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20); INSERT INTO p VALUES (1), (11)",
            "CREATE TABLE p3 (id int PRIMARY KEY); INSERT INTO p3 VALUES (25); ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30)",
            "ALTER TABLE p DETACH PARTITION p2; INSERT INTO p2 VALUES (99)",
            "TRUNCATE p, rows; INSERT INTO rows VALUES (1); DROP TABLE b",
        ])
        .await
    });
}

/// Without `--ddl`, too: a table joins at capture's next start.
#[test]
fn a_table_that_joins_is_guarded_with_its_first_rows() {
    test(async {
        let setup = &mut Setup::shared(BEFORE).await?;
        let all = Guarded::three(setup).await?;
        for of in &all {
            of.pull(setup, &["--guard"]).await?;
        }
        setup.master.execute("CREATE TABLE late (id int PRIMARY KEY)").await?;
        setup.kill_capture()?;
        let published = "SELECT count(*) FROM pg_publication_tables WHERE tablename = 'late'";
        harness::eventually("the table is published", crate::setup::LIMIT, async || {
            Ok(setup.master.value(published).await?.as_deref() == Some("1"))
        })
        .await?;
        setup.master.execute("INSERT INTO late VALUES (1); UPDATE late SET id = 2").await?;
        for of in &all {
            of.equals(setup).await?;
            of.refuses(&["INSERT INTO late VALUES (3)", "DELETE FROM late"]).await;
            guards_all(of, "a table joined").await?;
        }
        for of in all {
            of.end().await?;
        }
        Ok(())
    });
}

/// A table that is not the source's any more is the terminal's own.
#[test]
fn a_table_that_leaves_is_free() {
    test(async {
        let ours = include_str!("../../../capture/src/ddl/tables.sql");
        let before = format!(
            "{ours}; {BEFORE}; CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);
             CREATE PUBLICATION mine FOR TABLE a, u, tailwater.schema_changes"
        );
        let options = Options { capture: &["--ddl", "--publication", "mine"], config: None };
        let setup = Setup::on(Cluster::shared().await?, &before, options).await?;
        let all = Guarded::three(&setup).await?;
        for of in &all {
            of.pull(&setup, &["--guard"]).await?;
            of.refuses(&["INSERT INTO u VALUES (2)"]).await;
        }
        setup.master.execute("ALTER PUBLICATION mine DROP TABLE u; UPDATE a SET n = 0").await?;
        setup.captured().await?;
        for of in &all {
            of.pull(&setup, &[]).await?;
            of.terminal.execute("INSERT INTO u VALUES (2); DELETE FROM u WHERE id = 1").await?;
            of.refuses(&["INSERT INTO a (id) VALUES (999)"]).await;
            of.pull(&setup, &["--guard"]).await?;
            of.terminal.execute("INSERT INTO u VALUES (3)").await?;
        }
        for of in all {
            of.end().await?;
        }
        Ok(())
    });
}
