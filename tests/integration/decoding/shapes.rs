//! Tables of every shape, and what becomes of it while capture follows.

use harness::{Cluster, RelayProcess, test};

use super::follows;
use crate::setup::{Options, Setup};

#[test]
fn tables_without_rows_columns_or_with_very_many() {
    test(async {
        let columns: Vec<String> = (1..1_600).map(|n| format!("c{n} smallint")).collect();
        let before = format!(
            "CREATE TABLE empty (id int PRIMARY KEY, t text);
             CREATE TABLE nothing (); INSERT INTO nothing SELECT FROM generate_series(1, 3);
             CREATE TABLE wide (id int PRIMARY KEY, {}); INSERT INTO wide (id, c1, c1599) VALUES (1, 1, -1)",
            columns.join(", ")
        );
        let after = [
            "INSERT INTO nothing SELECT FROM generate_series(1, 2)",
            "DELETE FROM nothing WHERE ctid = (SELECT min(ctid) FROM nothing)",
            "INSERT INTO wide (id, c800) VALUES (2, 800); UPDATE wide SET c1599 = 7, c2 = 2; DELETE FROM wide WHERE id = 1",
            "INSERT INTO empty VALUES (1, 'no longer')",
        ];
        follows(&before, &["--keyless", "full"], &after).await.map(drop)
    });
}

/// What identifies a row changes in mid-stream: to all columns, to another index, back.
#[test]
fn the_replica_identity_changes_on_the_way() {
    test(async {
        let before = "
            CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, n int);
            CREATE UNIQUE INDEX t_code ON t (code);
            INSERT INTO t SELECT i, 'c' || i, i FROM generate_series(1, 9) i";
        let change = "UPDATE t SET n = n + 1, id = id + 100 WHERE id % 3 = 0; DELETE FROM t WHERE id = (SELECT min(id) FROM t)";
        let after = [
            change,
            "ALTER TABLE t REPLICA IDENTITY FULL",
            change,
            "ALTER TABLE t REPLICA IDENTITY USING INDEX t_code",
            change,
            "UPDATE t SET code = code || 'x' WHERE id = (SELECT max(id) FROM t)",
            "BEGIN; UPDATE t SET n = 50; ALTER TABLE t REPLICA IDENTITY DEFAULT; UPDATE t SET id = id + 1000; COMMIT",
            change,
        ];
        follows(before, &[], &after).await.map(drop)
    });
}

/// A deferrable key identifies nothing; its rows may trade places within a transaction.
#[test]
fn rows_trade_places_under_a_deferrable_key() {
    test(async {
        let before = "
            CREATE TABLE late (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, t text);
            CREATE TABLE plain (id int PRIMARY KEY, t text);
            INSERT INTO late VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO plain SELECT * FROM late";
        let after = [
            "BEGIN; UPDATE late SET id = 2 WHERE t = 'a'; UPDATE late SET id = 1 WHERE t = 'b'; COMMIT",
            "UPDATE late SET id = 4 - id",
            "BEGIN; UPDATE plain SET id = -1 WHERE id = 1; UPDATE plain SET id = 1 WHERE id = 2; UPDATE plain SET id = 2 WHERE id = -1; COMMIT",
            "UPDATE plain SET id = id + 10",
        ];
        follows(before, &["--keyless", "full"], &after).await.map(drop)
    });
}

/// A publication of the user's that carries partitions under the whole's name, some columns, some rows
/// or some kinds of change: what it carries arrives.
#[test]
fn a_publication_with_lists_and_filters_is_followed() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        if master
            .value("SHOW server_version_num")
            .await?
            .is_some_and(|version| *version < *"150000")
        {
            return Ok(());
        }
        master
            .execute(
                "CREATE TABLE whole (id int, region text, n int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
                 CREATE TABLE whole_eu PARTITION OF whole FOR VALUES IN ('eu'); CREATE TABLE whole_rest PARTITION OF whole DEFAULT;
                 CREATE TABLE listed (id int PRIMARY KEY, secret text, n int); CREATE TABLE other (id int PRIMARY KEY);
                 INSERT INTO whole VALUES (1, 'eu', 1), (2, 'us', 2); INSERT INTO listed VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', -3);
                 CREATE PUBLICATION mine FOR TABLE whole, TABLE listed (id, n) WHERE (id > 1) WITH (publish_via_partition_root = true)",
            )
            .await?;
        let relay = RelayProcess::builder().start().await?;
        let options = Options { capture: &["--publication", "mine"], config: None };
        let setup = Setup::with(master, relay, options).await?;
        let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
        let seen = async |what: &str| {
            let wanted = setup
                .master
                .value("SELECT string_agg(w::text, ' ' ORDER BY id) || (SELECT string_agg(id || ':' || n, ' ' ORDER BY id) FROM listed WHERE id > 1) FROM whole w")
                .await?;
            setup.captured().await?;
            setup.pull(&postgres).await?;
            setup.pull(&sqlite).await?;
            let at = postgres
                .value("SELECT string_agg(w::text, ' ' ORDER BY id) || (SELECT string_agg(id || ':' || n, ' ' ORDER BY id) FROM listed) FROM whole w")
                .await?;
            assert_eq!(at, wanted, "{what}");
            let columns =
                "SELECT count(*) FROM information_schema.columns WHERE table_name = 'listed'";
            assert_eq!(postgres.value(columns).await?.as_deref(), Some("2"), "{what}");
            anyhow::Ok(())
        };
        seen("the first copy").await?;
        for sql in [
            "INSERT INTO whole VALUES (3, 'eu', 3); UPDATE whole SET region = 'us' WHERE id = 1; DELETE FROM whole WHERE id = 2",
            "INSERT INTO listed VALUES (4, 'w', 4), (0, 'v', 0); UPDATE listed SET n = n + 1, secret = 'new'; UPDATE listed SET id = 20 WHERE id = 1; DELETE FROM listed WHERE id = 3",
            "UPDATE listed SET id = -id WHERE id = 4; UPDATE listed SET id = 9 WHERE id = 0",
        ] {
            setup.master.execute(sql).await?;
            seen(sql).await?;
        }
        Ok(())
    });
}

#[test]
fn partitions_come_and_go() {
    test(async {
        let before = "
            CREATE TABLE p (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
            CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (100);
            CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (100) TO (200);
            INSERT INTO p SELECT i, i FROM generate_series(0, 199, 10) i";
        let after = [
            "ALTER TABLE p DETACH PARTITION p_2",
            "UPDATE p SET n = n + 1; ALTER TABLE p ATTACH PARTITION p_2 FOR VALUES FROM (100) TO (200)",
            "UPDATE p SET n = n + 1; INSERT INTO p VALUES (5, 5), (115, 115)",
            "UPDATE p SET id = id + 100 WHERE id = 5",
            "DELETE FROM p WHERE id > 150; TRUNCATE p_1",
        ];
        follows(before, &[], &after).await.map(drop)
    });
}

/// Stored ones are computed at the terminal, virtual ones (18) by whoever reads.
#[test]
fn generated_columns_of_both_kinds() {
    test(async {
        let cluster = Cluster::shared().await?;
        let probe = cluster.database().await?;
        let version = probe.value("SHOW server_version_num").await?.unwrap_or_default();
        let kind = if *version >= *"180000" { "VIRTUAL" } else { "STORED" };
        let before = format!(
            "CREATE TABLE g (id int PRIMARY KEY, a int, b int, s int GENERATED ALWAYS AS (a + b) STORED, v int GENERATED ALWAYS AS (a * b) {kind});
             INSERT INTO g (id, a, b) VALUES (1, 2, 3), (2, NULL, 1)"
        );
        let after = [
            "INSERT INTO g (id, a, b) VALUES (3, 4, 5); UPDATE g SET a = 7 WHERE id < 3; UPDATE g SET id = id + 10",
        ];
        follows(&before, &[], &after).await.map(drop)
    });
}
