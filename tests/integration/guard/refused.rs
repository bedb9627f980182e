//! Who is refused, who is not, and that pulls are as they were.

use anyhow::Result;
use harness::{Cluster, Tables, test};

use super::Guarded;
use crate::setup::{LIMIT, Options, Setup, Target};

const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 300) i;
    CREATE TABLE keyless (n int); INSERT INTO keyless VALUES (1), (1), (2);
    CREATE SCHEMA \"s p\"; CREATE TABLE \"s p\".\"it's\" (id int PRIMARY KEY, t int REFERENCES t); INSERT INTO \"s p\".\"it's\" VALUES (1, 1);
    CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (50);
    CREATE TABLE part_2 PARTITION OF part DEFAULT; INSERT INTO part VALUES (1), (100)";

const POSTGRES: &[&str] = &[
    "INSERT INTO t VALUES (999, 1)",
    "UPDATE t SET n = 1 WHERE id = 1",
    "DELETE FROM t WHERE id = 1",
    "INSERT INTO t VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = 1",
    "TRUNCATE part_1",
    "TRUNCATE t CASCADE",
    "INSERT INTO keyless VALUES (3)",
    "UPDATE \"s p\".\"it's\" SET t = 2",
    "INSERT INTO part VALUES (2)",
    "DELETE FROM part",
    "TRUNCATE part",
    "UPDATE part_2 SET id = 101",
    "WITH w AS (DELETE FROM t RETURNING id) SELECT count(*) FROM w",
    "COPY t (id) FROM PROGRAM 'echo 999'",
];

const SQLITE: &[&str] = &[
    "INSERT INTO t VALUES (999, 1)",
    "INSERT OR IGNORE INTO t VALUES (999, 1)",
    "INSERT OR REPLACE INTO t VALUES (1, 1)",
    "UPDATE t SET n = 1 WHERE id = 1",
    "UPDATE OR IGNORE t SET n = 1",
    "DELETE FROM t WHERE id = 1",
    "DELETE FROM t",
    "INSERT INTO keyless VALUES (3)",
    "UPDATE \"s p.it's\" SET t = 2",
    "UPDATE part_2 SET id = 101",
];

fn statements(of: &Guarded) -> &'static [&'static str] {
    if of.terminal.is_sqlite() { SQLITE } else { POSTGRES }
}

async fn setup() -> Result<Setup> {
    let options = Options { capture: &["--keyless", "full"], config: None };
    Setup::on(Cluster::shared().await?, TABLES, options).await
}

#[test]
fn others_are_refused_and_pulls_go_on() {
    test(async {
        let setup = setup().await?;
        let all = Guarded::three(&setup).await?;
        for of in &all {
            of.pull(&setup, &["--guard"]).await?;
            of.refuses(statements(of)).await;
            of.terminal.equals(&setup.master, &Tables::All).await?;
        }
        setup
            .master
            .execute(
                "INSERT INTO t SELECT i, 1 FROM generate_series(301, 600) i; UPDATE t SET n = 2 WHERE id % 3 = 0; DELETE FROM t WHERE id BETWEEN 100 AND 200;
                 UPDATE keyless SET n = 5 WHERE n = 2; DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless);
                 UPDATE part SET id = 60 WHERE id = 1; INSERT INTO part VALUES (7)",
            )
            .await?;
        setup.captured().await?;
        for of in &all {
            let said = of.pull(&setup, &[]).await?.stderr;
            assert!(said.contains("by their net effect"), "it does not apply many at once: {said}");
            of.equals(&setup).await?;
        }
        setup.master.execute(r#"TRUNCATE part; TRUNCATE t CASCADE; INSERT INTO t VALUES (1, 1); INSERT INTO part VALUES (4), (100); INSERT INTO "s p"."it's" VALUES (1, 1)"#).await?;
        for of in &all {
            of.equals(&setup).await?;
            of.refuses(statements(of)).await;
            of.reload(&setup).await?;
            of.refuses(statements(of)).await;
            of.equals(&setup).await?;
            of.refuses(statements(of)).await;
            of.equals(&setup).await?;
        }
        for of in all {
            of.end().await?;
        }
        Ok(())
    });
}

/// It stays until it is taken off by name, comes to a target that was loaded without it, and goes whole.
#[test]
fn it_comes_and_goes_as_it_is_told() {
    test(async {
        let setup = setup().await?;
        let all = Guarded::three(&setup).await?;
        let config = harness::Scratch::new("guard")?;
        let config = config.path().join("terminal.toml");
        for of in &all {
            let own = "INSERT INTO t VALUES (999, 1)";
            let undo = "DELETE FROM t WHERE id = 999";
            let on = async || {
                let done =
                    harness::ProcessBuilder::new("status", harness::binary("tailwater-terminal")?)
                        .args(["status", "--json", "--target", &of.url()?])
                        .run(LIMIT)
                        .await?;
                let said: serde_json::Value = serde_json::from_str(&done.stdout)?;
                Ok::<_, anyhow::Error>(said["sources"][0]["guard"].clone())
            };
            of.pull(&setup, &[]).await?;
            of.terminal.execute(own).await?;
            of.terminal.execute(undo).await?;
            assert_eq!(on().await?, false);
            std::fs::write(&config, "guard = true")?;
            of.pull(&setup, &["--config", &config.to_string_lossy()]).await?;
            of.refuses(statements(of)).await;
            assert_eq!(on().await?, true);
            of.pull(&setup, &[]).await?;
            of.refuses(statements(of)).await;
            // What somebody took away by hand is put back.
            of.terminal
                .execute(if of.terminal.is_sqlite() {
                    "DROP TRIGGER \"tailwater_guard:orders:insert:t\""
                } else {
                    "DROP TRIGGER tailwater_guard ON t"
                })
                .await?;
            of.terminal.execute(own).await?;
            of.terminal.execute(undo).await.err();
            of.pull(&setup, &[]).await?;
            of.refuses(statements(of)).await;
            of.pull(&setup, &["--guard=false"]).await?;
            assert_eq!(on().await?, false);
            of.terminal.execute(undo).await?;
            let left = match of.terminal.is_sqlite() {
                true => "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'",
                false => "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'tailwater%'",
            };
            assert_eq!(of.terminal.value(left).await?.as_deref(), Some("0"));
            of.pull(&setup, &[]).await?;
            of.terminal.execute(own).await?;
            of.terminal.execute(undo).await?;
            of.equals(&setup).await?;
        }
        for of in all {
            of.end().await?;
        }
        Ok(())
    });
}

/// A guard that is put on waits for who is writing; what he wrote is not lost.
#[test]
fn a_writer_under_way_is_waited_for() {
    test(async {
        let setup = setup().await?;
        let [of, plain, _] = Guarded::three(&setup).await?;
        of.pull(&setup, &[]).await?;
        let Target::Postgres(database) = &of.terminal.target else { unreachable!() };
        let writer = database.connect().await?;
        writer.batch_execute("BEGIN; UPDATE t SET n = n WHERE id = 1").await?;
        let mut pull = of.terminal.command(&setup.relay.url())?.arg("--guard").spawn()?;
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass";
        harness::eventually("the pull waits for the writer", LIMIT, async || {
            Ok(database.value(waits).await?.as_deref() == Some("1"))
        })
        .await?;
        writer.batch_execute("COMMIT").await?;
        let done = pull.wait(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        of.refuses(POSTGRES).await;
        of.equals(&setup).await?;
        plain.end().await
    });
}
