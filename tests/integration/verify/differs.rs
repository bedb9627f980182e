//! What was done to rows at a terminal is found, and named.

use harness::{Cluster, test};

use super::{counts, found, temporary, verify};
use crate::setup::{Options, Setup};

const TABLES: &str = "
    CREATE SCHEMA \"Sales dept\";
    CREATE TABLE \"Sales dept\".\"Order \"\"x\" (id int, at date, name text, price numeric(12,2), PRIMARY KEY (id, at));
    CREATE TABLE keyless (t text, j json, p point);
    CREATE TABLE quiet (id int PRIMARY KEY, t text);
    INSERT INTO \"Sales dept\".\"Order \"\"x\" SELECT n, date '2026-01-01' + n, 'n' || n, n FROM generate_series(1, 100) n;
    INSERT INTO keyless SELECT 'k' || n % 3, '{\"a\": 1}', '(1,2)' FROM generate_series(1, 30) n;
    INSERT INTO keyless VALUES (NULL, NULL, NULL), (NULL, NULL, NULL), ('', NULL, NULL);
    INSERT INTO quiet SELECT n, 'q' FROM generate_series(1, 1000) n";

#[test]
fn rows_are_counted_and_named() {
    test(async {
        let options = Options { capture: &["--keyless", "full"], config: None };
        let setup = Setup::on(Cluster::shared().await?, TABLES, options).await?;
        for terminal in [setup.postgres("store").await?, setup.sqlite("till")?] {
            setup.pull(&terminal).await?;
            super::same(&setup, &terminal).await?;
            let (order, row, keyless) = match terminal.is_sqlite() {
                true => ("\"Sales dept.Order \"\"x\"", "rowid", "'[9]', '(0,0)'"),
                false => ("\"Sales dept\".\"Order \"\"x\"", "ctid", "'[9]', '(0,0)'"),
            };
            terminal
                .execute(&format!(
                    "DELETE FROM {order} WHERE id IN (7, 8); UPDATE {order} SET name = 'N9', price = 5 WHERE id = 9;
                     UPDATE {order} SET price = NULL WHERE id = 10; INSERT INTO {order} VALUES (900, '2026-01-01', '', 1);
                     DELETE FROM keyless WHERE {row} = (SELECT min({row}) FROM keyless WHERE t = 'k1');
                     DELETE FROM keyless WHERE {row} = (SELECT min({row}) FROM keyless WHERE t IS NULL);
                     INSERT INTO keyless VALUES ('strange', {keyless}), ('strange', {keyless})"
                ))
                .await?;
            let seen = found(&setup, &terminal, &[], 1).await?;
            assert_eq!(counts(&seen, "Order \"x")?, [2, 1, 2], "{seen}");
            assert_eq!(counts(&seen, "keyless")?, [2, 2, 0], "{seen}");
            assert_eq!(counts(&seen, "quiet")?, [0, 0, 0]);

            let done = verify(&setup, &terminal, &["--show", "4"], 1).await?;
            for words in [
                "2 missing here, 1 only here, 2 different",
                "missing here  (id=7, at=2026-01-08)",
                "different     (id=9, at=2026-01-10) in name, price",
                "different     (id=10, at=2026-01-11) in price",
                "2 missing here, 2 only here",
                "only here     (t=strange, j=[9], p=(0,0))",
                "missing here  (t=NULL, j=NULL, p=NULL)",
                "and 1 more row (--show)",
            ] {
                assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
            }
            for words in ["2 tables are not as the master's", "--repair", "reload"] {
                assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
            }
            let quiet = found(&setup, &terminal, &["--tables", "public.quiet"], 0).await?;
            assert_eq!(quiet["tables"].as_array().unwrap().len(), 1);
            assert_eq!(temporary(&terminal).await?.as_deref(), Some("0"));
            // Nothing was written, and pulls go on.
            setup.master.execute("UPDATE quiet SET t = 'later' WHERE id = 1").await?;
            setup.captured().await?;
            setup.pull(&terminal).await?;
            let seen = found(&setup, &terminal, &["--show", "0"], 1).await?;
            assert_eq!(counts(&seen, "keyless")?, [2, 2, 0], "{seen}");
            assert_eq!(seen["tables"][0]["shown"], serde_json::json!([]));
        }
        Ok(())
    });
}

/// A row that is there twice by its key, where the terminal has no index that would refuse it.
#[test]
fn a_row_that_is_there_twice() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1), (2, 2)",
        )
        .await?;
        let terminal = setup.postgres("store").await?;
        setup.pull(&terminal).await?;
        terminal
            .execute("ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (1, 1), (2, 5)")
            .await?;
        let seen = found(&setup, &terminal, &[], 1).await?;
        assert_eq!(counts(&seen, "t")?, [0, 2, 0], "{seen}");
        found(&setup, &terminal, &["--repair"], 0).await?;
        setup.all_equal(&[&terminal]).await
    });
}

/// A table that cannot be compared is said to be so; one that never had a row may come later.
#[test]
fn tables_in_another_shape() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE narrow (id int PRIMARY KEY, t text);
             CREATE TABLE never (id int PRIMARY KEY); INSERT INTO gone VALUES (1); INSERT INTO narrow VALUES (1, 'x')",
        )
        .await?;
        for terminal in [setup.postgres("store").await?, setup.sqlite("till")?] {
            setup.pull(&terminal).await?;
            terminal
                .execute("DROP TABLE gone; DROP TABLE never; ALTER TABLE narrow DROP COLUMN t")
                .await?;
            let done = verify(&setup, &terminal, &["--repair"], 1).await?;
            for words in
                ["cannot be compared: it is not here", "cannot be compared: it has no column \"t\""]
            {
                assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
            }
            assert!(
                done.stderr.contains("2 tables") && done.stderr.contains("reload"),
                "{}",
                done.stderr
            );
            setup.reload(&terminal).await?;
            super::same(&setup, &terminal).await?;
        }
        Ok(())
    });
}
